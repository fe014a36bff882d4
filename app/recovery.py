"""Recovery of stuck plans: plans that are on their way and make no progress, and what to do about it now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Connection, Row

from app.announcements import Announcer
from app.domain.dead_letters import LetterStatus
from app.domain.errors import ConflictError
from app.domain.jobs import JobKind, JobStatus, PlanStatus
from app.domain.roles import Actor
from app.domain.stuck_plans import StuckCause
from app.job_events import insert_announced_job
from app.letter_retry import retry_letter
from app.live_metrics import LiveMetrics
from app.metrics import DEAD_LETTERS_RESOLVED
from app.reaping import reap_expired
from app.settings import JobSettings
from app.storage.audit import record_audit
from app.storage.database import Database
from app.storage.dead_letters import archive_missing
from app.storage.jobs import latest_job
from app.storage.letter_reads import retry_candidate
from app.storage.plans import plans_by_ids
from app.storage.stuck_plans import count_stuck_plans, failed_plans, plans_without_job, stuck_plans
from app.storage.sweeps import hasten

_log = structlog.stdlib.get_logger(__name__)


class RecoveryAction(StrEnum):
    """What was done for a plan."""

    NOT_FOUND = "not_found"
    NOT_STUCK = "not_stuck"
    """The plan waits for nothing: it has its tasks, awaits a decision, or has come to another end."""
    JOB_CREATED = "job_created"
    """The plan had no job."""
    HINT_SENT = "hint_sent"
    """Its job waits; the workers were told of it once more."""
    RUNNING = "running"
    """A worker holds its job; when that worker is gone, the lease ends by itself."""
    RETRIED = "retried"
    """Its job had failed for good: a new one follows it."""
    LEFT_FAILED = "left_failed"
    """Its job failed for good; name the plan to have it tried again."""
    INCONSISTENT = "inconsistent"
    """Its job completed and the plan does not know of it: nothing is repaired, somebody must look."""


@dataclass(frozen=True)
class RecoveredPlan:
    """What was done for one plan; `job_id` is the job that now counts, `kind` what it does."""

    plan_id: UUID
    action: RecoveryAction
    job_id: UUID | None = None
    kind: JobKind = JobKind.PHASE1


#: The job that brings a plan in this state on.
_KINDS = {PlanStatus.ANALYZING: JobKind.ANALYSIS, PlanStatus.APPROVED: JobKind.PHASE1}

#: What recovery means for a stuck plan whose newest job is in this state.
_ACTIONS = {
    JobStatus.PENDING: RecoveryAction.HINT_SENT,
    JobStatus.ACTIVE: RecoveryAction.RUNNING,
    JobStatus.COMPLETED: RecoveryAction.INCONSISTENT,
    JobStatus.FAILED: RecoveryAction.LEFT_FAILED,
}

#: After these the workers are told of the job.
_ANNOUNCED = frozenset({RecoveryAction.JOB_CREATED, RecoveryAction.HINT_SENT, RecoveryAction.RETRIED})

#: How many plans one call looks at.
MOST_PLANS = 1000


class Recovery:
    """Brings stuck plans back on their way; running it again does no harm."""

    def __init__(self, database: Database, announcer: Announcer, jobs: JobSettings, metrics: LiveMetrics) -> None:
        self._database = database
        self._announcer = announcer
        self._jobs = jobs
        self._metrics = metrics

    def recover(self, plan_ids: Sequence[UUID] | None, *, by: Actor, request_id: str | None) -> list[RecoveredPlan]:
        """Recover these plans, or with None the oldest `MOST_PLANS` that are stuck; say what was done for each.

        Raises:
            DatabaseUnavailableError: Nothing was done, or it is unknown: run it again.
        """
        if plan_ids is None:
            self._reap_overdue()
        with self._database.write() as connection:
            if plan_ids is None:
                stuck = self._stuck(connection)
                done = [self._recover(connection, plan, named_by=None, request_id=request_id) for plan in stuck]
            else:
                found = {plan.id: plan for plan in plans_by_ids(connection, plan_ids)}
                done = [
                    self._recover(connection, found[plan_id], named_by=by, request_id=request_id)
                    if plan_id in found
                    else RecoveredPlan(plan_id, RecoveryAction.NOT_FOUND)
                    for plan_id in dict.fromkeys(plan_ids)
                ]
            record_audit(
                connection,
                actor=by.name,
                action="plan.recover",
                target_type="plan",
                target_id="stuck" if plan_ids is None else f"{len(done)} named",
                details={"plans": {str(plan.plan_id): plan.action for plan in done}},
                request_id=request_id,
            )
        retried = sum(plan.action is RecoveryAction.RETRIED for plan in done)
        self._metrics.count(DEAD_LETTERS_RESOLVED, retried, outcome=LetterStatus.RETRIED)
        self._announce(done)
        return done

    def create_missing_jobs(self) -> int:
        """Give every plan that waits for a job and has none its job (T8a); return how many had none."""
        with self._database.read() as connection:
            missing = plans_without_job(connection, limit=MOST_PLANS)
        if not missing:
            return 0
        try:
            with self._database.write() as connection:
                created = [
                    self._insert(connection, plan_id, kind, None)
                    for plan_id, kind in plans_without_job(connection, limit=MOST_PLANS)
                ]
        except ConflictError:
            # Another scheduler was first.
            return 0
        self._announce(created)
        return len(created)

    def _recover(
        self, connection: Connection, plan: Row[Any], *, named_by: Actor | None, request_id: str | None
    ) -> RecoveredPlan:
        kind = _KINDS.get(PlanStatus(plan.status))
        if kind is None or plan.phase1_job_id is not None:
            return RecoveredPlan(plan.id, RecoveryAction.NOT_STUCK, plan.phase1_job_id)
        job = latest_job(connection, plan.id, kind)
        if job is None:
            return self._insert(connection, plan.id, kind, request_id)
        if job.status == JobStatus.FAILED and named_by is not None:
            return self._retry(connection, plan.id, job.job_id, kind, named_by, request_id)
        if job.status == JobStatus.PENDING:
            hasten(connection, job.job_id)
        if job.status == JobStatus.COMPLETED:
            _log.error("completed_job_without_latch", plan_id=str(plan.id), job_id=str(job.job_id))
        return RecoveredPlan(plan.id, _ACTIONS[JobStatus(job.status)], job.job_id, kind)

    def _reap_overdue(self) -> None:
        """Take back the jobs of dead workers that no scheduler has taken back in time."""
        with self._database.read() as connection:
            overdue = count_stuck_plans(connection, self._jobs)[StuckCause.LEASE_EXPIRED]
        if overdue:
            reap_expired(self._database, self._metrics, crash_limit=self._jobs.crash_limit)

    def _stuck(self, connection: Connection) -> Sequence[Row[Any]]:
        """Return the plans that are stuck, oldest first, and then those whose job has failed for good."""
        stuck = stuck_plans(connection, self._jobs, limit=MOST_PLANS)
        ids = [plan.plan_id for plan in stuck if plan.cause is not StuckCause.QUEUE_PAUSED]
        chosen = list(dict.fromkeys([*ids, *failed_plans(connection, limit=MOST_PLANS)]))[:MOST_PLANS]
        found = {plan.id: plan for plan in plans_by_ids(connection, chosen)}
        return [found[plan_id] for plan_id in chosen]

    def _retry(
        self, connection: Connection, plan_id: UUID, failed: UUID, kind: JobKind, by: Actor, request_id: str | None
    ) -> RecoveredPlan:
        letter = retry_candidate(connection, failed)
        if letter is None:
            archive_missing(connection, failed)
            letter = retry_candidate(connection, failed)
        assert letter is not None  # noqa: S101 -- it was written above
        retry = retry_letter(
            self._database,
            connection,
            self._jobs,
            self._metrics,
            letter,
            by=by,
            request_id=request_id,
            discarded_too=True,
        )
        if retry.job_id is None:
            return RecoveredPlan(plan_id, RecoveryAction.LEFT_FAILED, failed, kind)
        # With a cause, somebody else has retried it just now: their job waits.
        action = RecoveryAction.RETRIED if retry.cause is None else RecoveryAction.HINT_SENT
        return RecoveredPlan(plan_id, action, retry.job_id, kind)

    def _insert(self, connection: Connection, plan_id: UUID, kind: JobKind, request_id: str | None) -> RecoveredPlan:
        job_id = insert_announced_job(
            self._database, connection, self._jobs, self._metrics, plan_id=plan_id, kind=kind, request_id=request_id
        )
        return RecoveredPlan(plan_id, RecoveryAction.JOB_CREATED, job_id, kind)

    def _announce(self, plans: Sequence[RecoveredPlan]) -> None:
        for plan in plans:
            if plan.job_id is None or plan.action not in _ANNOUNCED:
                continue
            if not self._announcer.announce(plan.kind, plan.job_id):
                # Each further one would wait for Redis as long; the sweeper sends them all.
                return
