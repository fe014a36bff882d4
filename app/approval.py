"""A person's decision on a plan (docs/reference/job-protocol.md, T1)."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from app.announcements import Announcer
from app.domain.errors import ConflictError, NotFoundError
from app.domain.jobs import JobKind, JobStatus, PlanStatus
from app.domain.roles import Actor
from app.job_events import insert_announced_job
from app.settings import JobSettings
from app.storage.audit import record_audit
from app.storage.database import Database
from app.storage.jobs import latest_job
from app.storage.plans import approve_plan, plan_by_id, reject_plan


@dataclass(frozen=True)
class Approval:
    """The one job that an approved plan has, however often it is approved."""

    job_id: UUID
    job_status: JobStatus


class Approvals:
    """Decides plans; safe to call from many threads and processes at once."""

    def __init__(self, database: Database, announcer: Announcer, jobs: JobSettings) -> None:
        self._database = database
        self._announcer = announcer
        self._jobs = jobs

    def approve(self, plan_id: UUID, *, by: Actor, request_id: str | None, reason: str | None = None) -> Approval:
        """Approve a plan and create its Phase 1 job, in one transaction; approving again answers the same job.

        A reason goes into the audit log.

        Raises:
            NotFoundError: There is no such plan.
            ConflictError: The plan is rejected, or its analysis is not finished.
            DatabaseUnavailableError: Nothing happened, or it is unknown: approve again.
        """
        decided = self._decided(plan_id)
        if decided is not None:
            return decided
        try:
            with self._database.write() as connection:
                job_id = self._approve_now(connection, plan_id, by, request_id, reason)
        except ConflictError:
            # Somebody created the plan's open job between our UPDATE and our INSERT: theirs is the answer.
            job_id = None
        if job_id is None:
            decided = self._decided(plan_id)
            if decided is None:
                raise ConflictError("the plan is being decided by somebody else; try again")
            return decided
        self._announcer.announce(JobKind.PHASE1, job_id)
        return Approval(job_id, JobStatus.PENDING)

    def reject(self, plan_id: UUID, *, by: Actor, reason: str, request_id: str | None) -> None:
        """Reject a plan for a reason; rejecting again changes nothing.

        Raises:
            NotFoundError: There is no such plan.
            ConflictError: The plan is approved, or its analysis is not finished.
            DatabaseUnavailableError: Nothing happened, or it is unknown: reject again.
        """
        with self._database.write() as connection:
            if reject_plan(connection, plan_id, actor=by.name, reason=reason):
                record_audit(
                    connection,
                    actor=by.name,
                    action="plan.reject",
                    target_type="plan",
                    target_id=plan_id,
                    reason=reason,
                    request_id=request_id,
                )
                return
            plan = plan_by_id(connection, plan_id)
        if plan is None:
            raise NotFoundError("there is no such plan")
        if plan.status != PlanStatus.REJECTED:
            raise _undecidable(plan.status)

    def _approve_now(
        self, connection: Connection, plan_id: UUID, by: Actor, request_id: str | None, reason: str | None
    ) -> UUID | None:
        if not approve_plan(connection, plan_id, actor=by.name):
            return None
        job_id = insert_announced_job(
            self._database, connection, self._jobs, plan_id=plan_id, kind=JobKind.PHASE1, request_id=request_id
        )
        record_audit(
            connection,
            actor=by.name,
            action="plan.approve",
            target_type="plan",
            target_id=plan_id,
            reason=reason,
            details={"jobId": str(job_id)},
            request_id=request_id,
        )
        return job_id

    def _decided(self, plan_id: UUID) -> Approval | None:
        """Return the job of an approved plan, None for one that awaits its decision."""
        with self._database.read() as connection:
            plan = plan_by_id(connection, plan_id)
            job = latest_job(connection, plan_id, JobKind.PHASE1)
        if plan is None:
            raise NotFoundError("there is no such plan")
        if plan.status == PlanStatus.AWAITING_APPROVAL:
            return None
        if plan.status != PlanStatus.APPROVED:
            raise _undecidable(plan.status)
        if job is None:
            # Approved before jobs existed: the sweeper creates the job within RECONCILE.
            raise ConflictError("the plan is approved and its job is about to be created; try again")
        return Approval(job.job_id, JobStatus(job.status))


def _undecidable(status: str) -> ConflictError:
    words = {
        PlanStatus.APPROVED: "the plan is approved already",
        PlanStatus.REJECTED: "the plan is rejected already",
        PlanStatus.ANALYZING: "the plan's analysis is not finished",
        PlanStatus.ANALYSIS_FAILED: "the plan's analysis failed",
    }
    return ConflictError(words[PlanStatus(status)])
