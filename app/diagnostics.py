"""Diagnostics: how the whole pipeline is, and what to do about what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from app.domain.jobs import QUEUES, JobKind, JobStatus
from app.health import Health, HealthChecks
from app.settings import JobSettings
from app.storage.database import Database
from app.storage.job_reads import DeadLetterCount, count_dead_letters, count_jobs, oldest_due_seconds, troubled_jobs
from app.storage.stuck_plans import StuckCause, StuckPlan, count_stuck_plans, stuck_plans

#: How far back the retry statistics look, in seconds, and how many jobs and plans one answer lists.
WINDOW_SECONDS = 86_400.0
LONGEST_LIST = 100


class Severity(StrEnum):
    """How soon somebody should act; each one is worse than those before it."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class OverallStatus(StrEnum):
    """The worst recommendation, in one word."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    CRITICAL = "critical"


@dataclass(frozen=True)
class QueueLevel:
    """One queue: jobs by state, and the age of the oldest one that a worker could take, None when there is none."""

    queue: str
    kind: JobKind
    pending: int
    active: int
    completed: int
    failed: int
    oldest_due_seconds: float | None


@dataclass(frozen=True)
class RetryStatistics:
    """What the jobs of one plan went through within the window, and the last error among them."""

    plan_id: UUID
    jobs: int
    attempts: int
    retries: int
    crashes: int
    failed: int
    last_error_code: str | None
    last_error: str | None


@dataclass(frozen=True)
class Recommendation:
    """Something that is wrong, how much of it, and what to do."""

    severity: Severity
    issue: str
    count: int
    action: str


@dataclass(frozen=True)
class Diagnosis:
    """The whole picture at one moment."""

    status: OverallStatus
    checked_at: datetime
    database: Health
    redis: Health
    queues: Sequence[QueueLevel]
    stuck_count: int
    stuck: Sequence[StuckPlan]
    retries: Sequence[RetryStatistics]
    dead_letters: Sequence[DeadLetterCount]
    recommendations: Sequence[Recommendation]


_SEARCH = "GET /api/marketplace/jobs?q=status:failed"
_RECOVER = "/api/marketplace/analysis/recover"

#: What to do about dead letters of each kind.
_DEAD_LETTERS = (
    (
        JobKind.PHASE1,
        "tasks_not_created",
        f"Read the errors ({_SEARCH}+kind:phase1), mend the cause, then POST {_RECOVER} with these plans in planIds.",
    ),
    (
        JobKind.ANALYSIS,
        "analyses_failed",
        f"Read the errors ({_SEARCH}+kind:analysis), mend the cause, then ask for the analyses again.",
    ),
)


class Diagnostics:
    """Examines the pipeline; safe to use from many threads."""

    def __init__(
        self,
        database: Database,
        checks: HealthChecks,
        settings: JobSettings,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._checks = checks
        self._settings = settings
        self._now = now

    def examine(self) -> Diagnosis:
        """Look at everything once.

        Raises:
            DatabaseUnavailableError: Without the database there is nothing to examine.
        """
        stuck_after = self._settings.stuck_after_seconds
        redis, database = self._checks.redis(), self._checks.database()
        with self._database.read() as connection:
            counted = {(count.kind, count.status): count.count for count in count_jobs(connection)}
            oldest = oldest_due_seconds(connection)
            stuck_count = count_stuck_plans(connection, older_than_seconds=stuck_after)
            stuck = stuck_plans(connection, older_than_seconds=stuck_after, limit=LONGEST_LIST)
            troubled = troubled_jobs(connection, within_seconds=WINDOW_SECONDS, limit=LONGEST_LIST)
            dead = count_dead_letters(connection)
        queues = [
            QueueLevel(
                queue,
                kind,
                pending=counted.get((kind, JobStatus.PENDING), 0),
                active=counted.get((kind, JobStatus.ACTIVE), 0),
                completed=counted.get((kind, JobStatus.COMPLETED), 0),
                failed=counted.get((kind, JobStatus.FAILED), 0),
                oldest_due_seconds=oldest.get(kind),
            )
            for kind, queue in QUEUES.items()
        ]
        recommendations = self._recommend(redis, queues, stuck_count, stuck, dead)
        return Diagnosis(
            status=_overall(recommendations),
            checked_at=self._now(),
            database=database,
            redis=redis,
            queues=queues,
            stuck_count=stuck_count,
            stuck=stuck,
            retries=_statistics(troubled),
            dead_letters=dead,
            recommendations=recommendations,
        )

    def _recommend(
        self,
        redis: Health,
        queues: Sequence[QueueLevel],
        stuck_count: int,
        stuck: Sequence[StuckPlan],
        dead: Sequence[DeadLetterCount],
    ) -> list[Recommendation]:
        found = []
        if not redis.ok:
            found.append(
                Recommendation(
                    Severity.CRITICAL,
                    "redis_disconnected",
                    1,
                    "Bring Redis back. No job is lost: the scheduler runs waiting jobs itself, a few at a time.",
                )
            )
        if stuck_count:
            found.append(
                Recommendation(
                    Severity.CRITICAL,
                    "plans_stuck",
                    stuck_count,
                    f"POST {_RECOVER} with an empty object looks at each of them, and says what it did.",
                )
            )
        unlatched = sum(plan.cause is StuckCause.NOT_LATCHED for plan in stuck)
        if unlatched:
            found.append(
                Recommendation(
                    Severity.CRITICAL,
                    "plans_inconsistent",
                    unlatched,
                    "A job completed and its plan does not know: read the plan and its tasks, and report the defect.",
                )
            )
        found += [
            Recommendation(
                Severity.WARNING,
                "queue_not_served",
                queue.pending,
                f"A job of queue {queue.queue} has been waiting for {queue.oldest_due_seconds:.0f} s: "
                "look whether its workers run and have free threads.",
            )
            for queue in queues
            if (queue.oldest_due_seconds or 0.0) > self._settings.stuck_after_seconds
        ]
        for kind, issue, action in _DEAD_LETTERS:
            count = sum(letters.count for letters in dead if letters.kind is kind)
            if count:
                found.append(Recommendation(Severity.WARNING, issue, count, action))
        return found


def _overall(recommendations: Sequence[Recommendation]) -> OverallStatus:
    severities = {recommendation.severity for recommendation in recommendations}
    if Severity.CRITICAL in severities:
        return OverallStatus.CRITICAL
    return OverallStatus.DEGRADED if Severity.WARNING in severities else OverallStatus.HEALTHY


def _statistics(troubled: Sequence[Row[Any]]) -> list[RetryStatistics]:
    """Sum up the jobs, which come newest first, by plan."""
    by_plan: dict[UUID, list[Row[Any]]] = {}
    for job in troubled:
        by_plan.setdefault(job.plan_id, []).append(job)
    return [
        RetryStatistics(
            plan_id=plan_id,
            jobs=len(jobs),
            attempts=sum(job.attempt_number for job in jobs),
            retries=sum(job.error_count for job in jobs),
            crashes=sum(job.crash_count for job in jobs),
            failed=sum(job.status == JobStatus.FAILED for job in jobs),
            last_error_code=jobs[0].error_code,
            last_error=jobs[0].error_message,
        )
        for plan_id, jobs in by_plan.items()
    ]
