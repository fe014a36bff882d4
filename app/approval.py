"""A person's decision on a plan (docs/reference/job-protocol.md, T1), and the job that follows from it.

Workers run that job. In `sync` mode, and when Redis does not take its hint, it runs in place.
docs/decisions/in-place-runs.md
"""

from __future__ import annotations

from concurrent.futures import wait
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from app.announcements import Announcer
from app.domain.controls import Mode
from app.domain.deadline import Deadline
from app.domain.errors import ConflictError, NotFoundError
from app.domain.jobs import JobKind, JobStatus, PlanStatus, RunVia
from app.domain.roles import Actor
from app.failpoints import Failpoint, failpoint
from app.in_place import InPlaceRuns
from app.job_events import insert_announced_job
from app.live_metrics import LiveMetrics
from app.settings import JobSettings
from app.storage.audit import record_audit
from app.storage.controls import runs_in_place
from app.storage.database import Database
from app.storage.jobs import attempts_of, latest_job
from app.storage.plan_reads import tasks_of
from app.storage.plans import approve_plan, plan_by_id, reject_plan

#: Share of the time until the answer that an approval may take for itself: a process that needs more is too busy to run
#: the job as well, and would only answer others late.
_OWN_SHARE = 0.25


@dataclass(frozen=True)
class Approval:
    """The one job that an approved plan has, however often it is approved.

    `mode` is `sync` when its last attempt ran in place. `task_ids` are those of the plan once the job has ended.
    """

    job_id: UUID
    job_status: JobStatus = JobStatus.PENDING
    mode: Mode = Mode.QUEUE
    task_ids: tuple[UUID, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether the job has come to its end."""
        return self.job_status in {JobStatus.COMPLETED, JobStatus.FAILED}


class Approvals:
    """Decides plans; safe to call from many threads and processes at once."""

    def __init__(
        self,
        database: Database,
        announcer: Announcer,
        in_place: InPlaceRuns,
        jobs: JobSettings,
        metrics: LiveMetrics,
    ) -> None:
        self._database = database
        self._announcer = announcer
        self._in_place = in_place
        self._jobs = jobs
        self._metrics = metrics

    def approve(
        self,
        plan_id: UUID,
        *,
        by: Actor,
        request_id: str | None,
        reason: str | None = None,
        answer_by: Deadline | None = None,
    ) -> Approval:
        """Approve a plan and create its Phase 1 job, in one transaction; approving again answers the same job.

        A reason goes into the audit log. When Redis does not answer, the job runs in place until `answer_by`, and
        goes on after the answer. When an operator wants it to run in place, the answer waits for as long as an attempt
        may take.

        Raises:
            NotFoundError: There is no such plan.
            ConflictError: The plan is rejected, or its analysis is not finished.
            DatabaseUnavailableError: Nothing happened, or it is unknown: approve again.
        """
        answer_by = answer_by or self._end_of_attempt()
        least_seconds = answer_by.remaining_seconds * (1 - _OWN_SHARE)
        decided = self._decided(plan_id)
        if decided is not None:
            return decided
        ordered = False
        try:
            with self._database.write() as connection:
                job_id = self._approve_now(connection, plan_id, by, request_id, reason)
                ordered = runs_in_place(connection, JobKind.PHASE1)
                failpoint(Failpoint.APPROVAL_BEFORE_COMMIT)
            failpoint(Failpoint.APPROVAL_AFTER_COMMIT)
        except ConflictError:
            # Somebody created the plan's open job between our UPDATE and our INSERT: theirs is the answer.
            job_id = None
        if job_id is not None:
            is_busy = answer_by.remaining_seconds < least_seconds
            if not self._run_here(job_id, ordered=ordered, is_busy=is_busy, answer_by=answer_by):
                failpoint(Failpoint.APPROVAL_AFTER_HINT)
                return Approval(job_id)
        decided = self._decided(plan_id)
        if decided is None:
            raise ConflictError("the plan is being decided by somebody else; try again")
        return decided

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
            self._database,
            connection,
            self._jobs,
            self._metrics,
            plan_id=plan_id,
            kind=JobKind.PHASE1,
            request_id=request_id,
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

    def _run_here(self, job_id: UUID, *, ordered: bool, is_busy: bool, answer_by: Deadline) -> bool:
        """Run the job in place, if it has to be, and wait; False when it is left to workers or the scheduler."""
        if ordered:
            answer_by = self._end_of_attempt()
        elif self._announcer.announce(JobKind.PHASE1, job_id) or is_busy:
            return False
        run = self._in_place.start(JobKind.PHASE1, job_id, even_if_paused=ordered)
        if run is not None:
            wait([run.ended], answer_by.remaining_seconds)
        elif ordered:
            self._announcer.announce(JobKind.PHASE1, job_id)
        return run is not None

    def _end_of_attempt(self) -> Deadline:
        return Deadline.after(self._jobs.attempt_seconds(JobKind.PHASE1))

    def _decided(self, plan_id: UUID) -> Approval | None:
        """Return the job of an approved plan, None for one that awaits its decision."""
        with self._database.read() as connection:
            plan = plan_by_id(connection, plan_id)
            job = latest_job(connection, plan_id, JobKind.PHASE1)
            attempts = [] if job is None else attempts_of(connection, job.job_id)
            tasks = [] if job is None else tasks_of(connection, plan_id)
        if plan is None:
            raise NotFoundError("there is no such plan")
        if plan.status == PlanStatus.AWAITING_APPROVAL:
            return None
        if plan.status != PlanStatus.APPROVED:
            raise _undecidable(plan.status)
        if job is None:
            # Approved before jobs existed: the sweeper creates the job within RECONCILE.
            raise ConflictError("the plan is approved and its job is about to be created; try again")
        return Approval(
            job.job_id,
            JobStatus(job.status),
            mode=Mode.SYNC if attempts and attempts[-1].via == RunVia.SYNC else Mode.QUEUE,
            task_ids=tuple(task.id for task in tasks),
        )


def _undecidable(status: str) -> ConflictError:
    words = {
        PlanStatus.APPROVED: "the plan is approved already",
        PlanStatus.REJECTED: "the plan is rejected already",
        PlanStatus.ANALYZING: "the plan's analysis is not finished",
        PlanStatus.ANALYSIS_FAILED: "the plan's analysis failed",
    }
    return ConflictError(words[PlanStatus(status)])
