"""What the sweeper does to jobs (docs/reference/job-protocol.md, T6 to T8): hints that are due, runs that are lost.

Each change is a single conditional UPDATE, so any number of sweepers may run; `now` is always the database's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, and_, func, literal, select, update

from app.domain.dead_letters import CRASH_LIMIT
from app.domain.jobs import AttemptOutcome, JobKind, JobStatus, LossCause
from app.storage.attempts import close_attempt
from app.storage.clock import now_plus, once_now_plus
from app.storage.controls import is_held
from app.storage.dead_letters import archive_job
from app.storage.schema import CRASHED, jobs
from app.storage.transitions import NO_LEASE

_LOSS_MESSAGES = {
    LossCause.LEASE_EXPIRED: "the lease ran out: the process died, froze or hung",
    LossCause.PROCESS_DIED: "the process that ran it died",
}

CRASH_ERROR = {
    "error_code": CRASH_LIMIT,
    "error_message": "every run of this job ended with its process dying, freezing or hanging",
}


@dataclass(frozen=True)
class DueJob:
    """A pending job whose next hint is due."""

    job_id: UUID
    kind: JobKind
    next_dispatch_at: datetime
    crash_count: int


@dataclass(frozen=True)
class ReapedJob:
    """A job that was taken back."""

    job_id: UUID
    plan_id: UUID
    kind: JobKind
    fence: int
    attempt_number: int
    error_count: int
    status: JobStatus


#: What an UPDATE of jobs returns for `reaped_job`.
REAPED = (
    jobs.c.job_id,
    jobs.c.plan_id,
    jobs.c.kind,
    jobs.c.fence,
    jobs.c.attempt_number,
    jobs.c.error_count,
    jobs.c.status,
)


def reaped_job(row: Row[Any]) -> ReapedJob:
    """Return the job of a row of `REAPED`."""
    return ReapedJob(
        row.job_id,
        row.plan_id,
        JobKind(row.kind),
        row.fence,
        row.attempt_number,
        row.error_count,
        JobStatus(row.status),
    )


def due(
    connection: Connection, kind: JobKind, *, limit: int, crashed: bool = False, even_if_paused: bool = False
) -> Sequence[DueJob]:
    """Return pending jobs of a kind whose next hint is due, oldest first (T6); none of a paused or drained queue.

    `crashed` tells which jobs are meant: those that a process died under, or the others.
    """
    rows = connection.execute(
        select(jobs.c.job_id, jobs.c.next_dispatch_at, jobs.c.crash_count)
        .where(
            CRASHED if crashed else and_(jobs.c.status == JobStatus.PENDING, jobs.c.crash_count == 0),
            jobs.c.next_dispatch_at <= now_plus(),
            jobs.c.available_at <= now_plus(),
            jobs.c.kind == kind,
            *(() if even_if_paused else (~is_held(kind),)),
        )
        .order_by(jobs.c.next_dispatch_at)
        .limit(limit)
    )
    return [DueJob(row.job_id, kind, row.next_dispatch_at, row.crash_count) for row in rows]


def mark_dispatched(connection: Connection, job: DueJob, *, again_in_seconds: float) -> bool:
    """Note that a hint is about to be sent (T6); another sweeper that saw the same row gets False."""
    return (
        connection.execute(
            update(jobs)
            .where(
                jobs.c.job_id == job.job_id,
                jobs.c.status == JobStatus.PENDING,
                jobs.c.next_dispatch_at == job.next_dispatch_at,
            )
            .values(next_dispatch_at=now_plus(again_in_seconds), dispatch_count=jobs.c.dispatch_count + 1)
        ).rowcount
        == 1
    )


def postpone_dispatch(connection: Connection, job_ids: Sequence[UUID], *, seconds: float) -> None:
    """Note that hints could not be sent: they are due again after `seconds` (T6)."""
    connection.execute(
        update(jobs)
        .where(jobs.c.job_id.in_(job_ids), jobs.c.status == JobStatus.PENDING)
        .values(next_dispatch_at=now_plus(seconds))
    )


def hasten(connection: Connection, job_id: UUID) -> bool:
    """Make a pending job due now, whatever pause it was in: an operator asked for it."""
    return (
        connection.execute(
            update(jobs)
            .where(jobs.c.job_id == job_id, jobs.c.status == JobStatus.PENDING)
            .values(available_at=now_plus(), next_dispatch_at=now_plus())
        ).rowcount
        == 1
    )


def send_hints_now(connection: Connection, job_ids: Sequence[UUID]) -> None:
    """Make the next hint of these jobs due now, where they are due themselves."""
    connection.execute(
        update(jobs)
        .where(jobs.c.job_id.in_(job_ids), jobs.c.status == JobStatus.PENDING, jobs.c.available_at <= now_plus())
        .values(next_dispatch_at=now_plus())
    )


def make_hints_due(connection: Connection, kinds: Collection[JobKind] = tuple(JobKind)) -> int:
    """Make the hint of every due job of these kinds due now: those that were sent led nowhere. Returns how many.

    Either Redis has lost what it knew (T6, epoch), or workers dropped them while the queue was paused.
    """
    return connection.execute(
        update(jobs)
        .where(
            jobs.c.status == JobStatus.PENDING,
            jobs.c.kind.in_(kinds),
            jobs.c.available_at <= now_plus(),
            # The others are due already: however many wait, few rows are written.
            jobs.c.next_dispatch_at > now_plus(),
        )
        .values(next_dispatch_at=now_plus())
    ).rowcount


def reap(connection: Connection, *, crash_limit: int) -> Sequence[ReapedJob]:
    """Take back every job whose lease ran out (T7).

    The fence grows here already, so that the old owner is shut out at once. A job that has lost its run `crash_limit`
    times before fails with reason `crash_limit`.
    """
    return _take_back(connection, jobs.c.lease_until_at < now_plus(), LossCause.LEASE_EXPIRED, crash_limit)


def give_back(connection: Connection, owner: str, *, crash_limit: int) -> Sequence[ReapedJob]:
    """Take back every job of an owner that is dead, without waiting for its leases (T7); again changes nothing."""
    return _take_back(connection, jobs.c.lease_owner == owner, LossCause.PROCESS_DIED, crash_limit)


def renew_hints(connection: Connection) -> int:
    """Make the hint of every due job due now that was sent before: a dead process may have fetched it (T7).

    Returns how many; no more than hints may wait.
    """
    return connection.execute(
        update(jobs)
        .where(
            jobs.c.status == JobStatus.PENDING,
            jobs.c.available_at <= now_plus(),
            jobs.c.next_dispatch_at > now_plus(),
        )
        .values(next_dispatch_at=now_plus())
    ).rowcount


def _take_back(
    connection: Connection, lost: ColumnElement[bool], cause: LossCause, crash_limit: int
) -> Sequence[ReapedJob]:
    reaped: list[ReapedJob] = []
    for failed in (False, True):
        limit = jobs.c.crash_count >= crash_limit if failed else jobs.c.crash_count < crash_limit
        rows = connection.execute(
            update(jobs)
            .where(jobs.c.status == JobStatus.ACTIVE, lost, limit)
            .values(
                status=JobStatus.FAILED if failed else JobStatus.PENDING,
                fence=jobs.c.fence + 1,
                crash_count=jobs.c.crash_count + 1,
                available_at=now_plus(),
                next_dispatch_at=now_plus(),
                **({"completed_at": now_plus(), **CRASH_ERROR} if failed else {}),
                **NO_LEASE,
            )
            .returning(*REAPED)
        ).all()
        reaped += [reaped_job(row) for row in rows]
    for job in reaped:
        close_attempt(
            connection, job.job_id, job.fence - 1, AttemptOutcome.LOST, code=cause, message=_LOSS_MESSAGES[cause]
        )
        if job.status is JobStatus.FAILED:
            archive_job(connection, job.job_id, reason=CRASH_ERROR["error_code"], message=CRASH_ERROR["error_message"])
    return reaped


def clamp(connection: Connection, *, lease_seconds: float, clamp_seconds: float) -> int:
    """Pull times that lie impossibly far ahead back to now: the clock was set back (T8c). Returns how many jobs."""
    leases = connection.execute(
        update(jobs)
        .where(jobs.c.status == JobStatus.ACTIVE, jobs.c.lease_until_at > now_plus(lease_seconds + 2))
        .values(lease_until_at=now_plus(lease_seconds))
    ).rowcount
    waits = 0
    for kind in JobKind:
        # A literal, for a partial index serves no parameter.
        pending = and_(jobs.c.status == literal(JobStatus.PENDING.value, literal_execute=True), jobs.c.kind == kind)
        for time in (jobs.c.available_at, jobs.c.next_dispatch_at):
            # The end of an index tells that there is none, and PostgreSQL then reads no job.
            latest = select(func.max(time)).where(pending).scalar_subquery()
            too_far = once_now_plus(clamp_seconds)
            waits += connection.execute(
                update(jobs)
                .where(pending, time > too_far, latest > too_far)
                .values(available_at=now_plus(), next_dispatch_at=now_plus())
            ).rowcount
    return leases + waits
