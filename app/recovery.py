"""Recovery of stuck plans: an approved plan that has no tasks yet, and what to do about it now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Connection, Row

from app.announcements import Announcer
from app.domain.jobs import JobKind, JobStatus, PlanStatus
from app.domain.roles import Actor
from app.job_events import insert_announced_job
from app.settings import JobSettings
from app.storage.audit import record_audit
from app.storage.database import Database
from app.storage.jobs import latest_job
from app.storage.plans import plans_by_ids, plans_without_job, unlatched_plans
from app.storage.sweeps import hasten

_log = structlog.stdlib.get_logger(__name__)


class RecoveryAction(StrEnum):
    """What was done for a plan."""

    NOT_FOUND = "not_found"
    NOT_STUCK = "not_stuck"
    """The plan is not approved, or has its tasks."""
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
    """What was done for one plan; `job_id` is the job that now counts."""

    plan_id: UUID
    action: RecoveryAction
    job_id: UUID | None = None


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

    def __init__(self, database: Database, announcer: Announcer, jobs: JobSettings) -> None:
        self._database = database
        self._announcer = announcer
        self._jobs = jobs

    def recover(self, plan_ids: Sequence[UUID] | None, *, by: Actor, request_id: str | None) -> list[RecoveredPlan]:
        """Recover these plans, or with None the oldest `MOST_PLANS` that are stuck; say what was done for each.

        Raises:
            DatabaseUnavailableError: Nothing was done, or it is unknown: run it again.
        """
        with self._database.write() as connection:
            if plan_ids is None:
                stuck = unlatched_plans(connection, older_than_seconds=self._jobs.stuck_after_seconds, limit=MOST_PLANS)
                done = [self._recover(connection, plan, named=False, request_id=request_id) for plan in stuck]
            else:
                found = {plan.id: plan for plan in plans_by_ids(connection, plan_ids)}
                done = [
                    self._recover(connection, found[plan_id], named=True, request_id=request_id)
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
        self._announce(done)
        return done

    def create_missing_jobs(self) -> int:
        """Give every approved plan without a `phase1` job its job (T8a); return how many had none."""
        with self._database.write() as connection:
            created = [
                RecoveredPlan(plan_id, RecoveryAction.JOB_CREATED, self._insert(connection, plan_id, None))
                for plan_id in plans_without_job(connection, limit=MOST_PLANS)
            ]
        self._announce(created)
        return len(created)

    def _recover(self, connection: Connection, plan: Row[Any], *, named: bool, request_id: str | None) -> RecoveredPlan:
        if plan.status != PlanStatus.APPROVED or plan.phase1_job_id is not None:
            return RecoveredPlan(plan.id, RecoveryAction.NOT_STUCK, plan.phase1_job_id)
        job = latest_job(connection, plan.id, JobKind.PHASE1)
        if job is None:
            job_id = self._insert(connection, plan.id, request_id)
            return RecoveredPlan(plan.id, RecoveryAction.JOB_CREATED, job_id)
        if job.status == JobStatus.FAILED and named:
            job_id = self._insert(connection, plan.id, request_id, after=job)
            return RecoveredPlan(plan.id, RecoveryAction.RETRIED, job_id)
        if job.status == JobStatus.PENDING:
            hasten(connection, job.job_id)
        if job.status == JobStatus.COMPLETED:
            _log.error("completed_job_without_latch", plan_id=str(plan.id), job_id=str(job.job_id))
        return RecoveredPlan(plan.id, _ACTIONS[JobStatus(job.status)], job.job_id)

    def _insert(
        self, connection: Connection, plan_id: UUID, request_id: str | None, *, after: Row[Any] | None = None
    ) -> UUID:
        return insert_announced_job(
            self._database,
            connection,
            self._jobs,
            plan_id=plan_id,
            kind=JobKind.PHASE1,
            request_id=request_id,
            generation=1 if after is None else after.generation + 1,
            retry_of=None if after is None else after.job_id,
        )

    def _announce(self, plans: Sequence[RecoveredPlan]) -> None:
        for plan in plans:
            if plan.job_id is None or plan.action not in _ANNOUNCED:
                continue
            if not self._announcer.announce(JobKind.PHASE1, plan.job_id):
                # Each further one would wait for Redis as long; the sweeper sends them all.
                return
