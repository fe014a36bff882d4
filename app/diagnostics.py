"""Diagnostics: how the whole pipeline is, and what to do about what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from app.breaker_status import BreakerStatus, CircuitStatus
from app.domain.jobs import QUEUES, JobKind, JobStatus
from app.domain.stuck_plans import StuckCause
from app.health import Health, HealthChecks
from app.recommendations import NEEDED, Findings, OverallStatus, Recommendation, overall, recommend
from app.settings import JobSettings
from app.storage.clock import database_now
from app.storage.controls import all_controls
from app.storage.database import Database
from app.storage.job_reads import DeadLetterCount, count_dead_letters, count_jobs, oldest_due_seconds, troubled_jobs
from app.storage.processes import SeenProcess, is_running, seen_processes
from app.storage.stuck_plans import StuckPlan, count_stuck_plans, stuck_plans

#: How far back the retry statistics look, in seconds, and how many jobs and plans one answer lists.
WINDOW_SECONDS = 86_400.0
LONGEST_LIST = 100

#: How far back processes are listed, in seconds; one that has been silent for a lease does not run any more.
PROCESSES_SECONDS = 3600.0


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
    #: Jobs that completed after at least one failed attempt.
    succeeded_after_retry: int
    last_error_code: str | None
    last_error: str | None
    #: When the next attempt may start, None when none is awaited.
    next_attempt_at: datetime | None


@dataclass(frozen=True)
class Diagnosis:
    """The whole picture at one moment."""

    status: OverallStatus
    checked_at: datetime
    database: Health
    redis: Health
    processes: Sequence[SeenProcess]
    queues: Sequence[QueueLevel]
    #: How many plans are stuck for each cause; those of a paused queue are counted apart from the others.
    stuck_counts: Mapping[StuckCause, int]
    #: The oldest of each stage and cause, without those of a paused queue.
    stuck: Sequence[StuckPlan]
    retries: Sequence[RetryStatistics]
    dead_letters: Sequence[DeadLetterCount]
    circuits: Sequence[CircuitStatus]
    recommendations: Sequence[Recommendation]


class Diagnostics:
    """Examines the pipeline; safe to use from many threads."""

    def __init__(
        self,
        database: Database,
        checks: HealthChecks,
        breakers: BreakerStatus,
        settings: JobSettings,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._checks = checks
        self._breakers = breakers
        self._settings = settings
        self._now = now

    def examine(self) -> Diagnosis:
        """Look at everything once.

        Raises:
            DatabaseUnavailableError: Without the database there is nothing to examine.
        """
        redis, database = self._checks.redis(), self._checks.database()
        with self._database.read() as connection:
            counted = {(count.kind, count.status): count.count for count in count_jobs(connection)}
            oldest = oldest_due_seconds(connection)
            stuck_counts = count_stuck_plans(connection, self._settings)
            stuck = stuck_plans(connection, self._settings, limit=LONGEST_LIST)
            troubled = troubled_jobs(connection, within_seconds=WINDOW_SECONDS, limit=LONGEST_LIST)
            dead = count_dead_letters(connection)
            processes = seen_processes(connection, within_seconds=PROCESSES_SECONDS, limit=LONGEST_LIST)
            missing = [
                role for role in NEEDED if not is_running(connection, role, within_seconds=self._settings.lease_seconds)
            ]
            circuits = self._breakers.read(connection)
            controls, now = all_controls(connection), database_now(connection)
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
        recommendations = recommend(
            Findings(
                now=now,
                redis_ok=redis.ok,
                missing=missing,
                stuck=stuck_counts,
                controls=controls,
                pending={queue.kind: queue.pending for queue in queues},
                dead_letters=dead,
                circuits=circuits,
            )
        )
        return Diagnosis(
            status=overall(recommendations),
            checked_at=self._now(),
            database=database,
            redis=redis,
            processes=processes,
            queues=queues,
            stuck_counts=stuck_counts,
            stuck=[plan for plan in stuck if plan.cause is not StuckCause.QUEUE_PAUSED][:LONGEST_LIST],
            retries=_statistics(troubled),
            dead_letters=dead,
            circuits=circuits,
            recommendations=recommendations,
        )


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
            succeeded_after_retry=sum(job.status == JobStatus.COMPLETED and job.error_count > 0 for job in jobs),
            last_error_code=jobs[0].error_code,
            last_error=jobs[0].error_message,
            next_attempt_at=min((job.available_at for job in jobs if job.status == JobStatus.PENDING), default=None),
        )
        for plan_id, jobs in by_plan.items()
    ]
