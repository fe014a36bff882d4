"""What the sweeper does to jobs (docs/reference/job-protocol.md, T6 to T8): hints that are due, leases that ran out.

Each change is a single conditional UPDATE, so any number of sweepers may run; `now` is always the database's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, and_, or_, select, update

from app.domain.jobs import AttemptOutcome, JobKind, JobStatus
from app.storage.attempts import archive, close_attempt
from app.storage.clock import now_plus
from app.storage.schema import jobs
from app.storage.transitions import NO_LEASE

_LEASE_EXPIRED = "the lease ran out: the process died, froze or hung"

CRASH_ERROR = {
    "error_code": "crash_limit",
    "error_message": "every run of this job ended with its process dying, freezing or hanging",
}


@dataclass(frozen=True)
class DueJob:
    """A pending job whose next hint is due."""

    job_id: UUID
    kind: JobKind
    next_dispatch_at: datetime


@dataclass(frozen=True)
class ReapedJob:
    """A job whose lease ran out."""

    job_id: UUID
    plan_id: UUID
    kind: JobKind
    fence: int
    attempt_number: int
    status: JobStatus


def due(connection: Connection, kind: JobKind, *, limit: int) -> Sequence[DueJob]:
    """Return pending jobs of a kind whose next hint is due, oldest first (T6)."""
    rows = connection.execute(
        select(jobs.c.job_id, jobs.c.next_dispatch_at)
        .where(
            jobs.c.status == JobStatus.PENDING,
            jobs.c.next_dispatch_at <= now_plus(),
            jobs.c.available_at <= now_plus(),
            jobs.c.kind == kind,
        )
        .order_by(jobs.c.next_dispatch_at)
        .limit(limit)
    )
    return [DueJob(row.job_id, kind, row.next_dispatch_at) for row in rows]


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


def make_hints_due(connection: Connection) -> int:
    """Make the hint of every due job due now: Redis has lost what it knew (T6, epoch). Returns how many."""
    return connection.execute(
        update(jobs)
        .where(jobs.c.status == JobStatus.PENDING, jobs.c.available_at <= now_plus())
        .values(next_dispatch_at=now_plus())
    ).rowcount


def reap(connection: Connection, *, crash_limit: int) -> Sequence[ReapedJob]:
    """Take back every job whose lease ran out (T7).

    The fence grows here already, so that the old owner is shut out at once. A job that has run out its lease
    `crash_limit` times before fails with reason `crash_limit`.
    """
    expired = and_(jobs.c.status == JobStatus.ACTIVE, jobs.c.lease_until_at < now_plus())
    reaped: list[ReapedJob] = []
    for failed in (False, True):
        limit = jobs.c.crash_count >= crash_limit if failed else jobs.c.crash_count < crash_limit
        rows = connection.execute(
            update(jobs)
            .where(expired, limit)
            .values(
                status=JobStatus.FAILED if failed else JobStatus.PENDING,
                fence=jobs.c.fence + 1,
                crash_count=jobs.c.crash_count + 1,
                available_at=now_plus(),
                next_dispatch_at=now_plus(),
                **({"completed_at": now_plus(), **CRASH_ERROR} if failed else {}),
                **NO_LEASE,
            )
            .returning(jobs.c.job_id, jobs.c.plan_id, jobs.c.kind, jobs.c.fence, jobs.c.attempt_number, jobs.c.status)
        ).all()
        reaped += [
            ReapedJob(r.job_id, r.plan_id, JobKind(r.kind), r.fence, r.attempt_number, JobStatus(r.status))
            for r in rows
        ]
    for job in reaped:
        close_attempt(
            connection, job.job_id, job.fence - 1, AttemptOutcome.LOST, code="lease_expired", message=_LEASE_EXPIRED
        )
        if job.status is JobStatus.FAILED:
            archive(connection, job.job_id, reason=CRASH_ERROR["error_code"], message=CRASH_ERROR["error_message"])
    return reaped


def clamp(connection: Connection, *, lease_seconds: float, clamp_seconds: float) -> int:
    """Pull times that lie impossibly far ahead back to now: the clock was set back (T8c). Returns how many jobs."""
    leases = connection.execute(
        update(jobs)
        .where(jobs.c.status == JobStatus.ACTIVE, jobs.c.lease_until_at > now_plus(lease_seconds + 2))
        .values(lease_until_at=now_plus(lease_seconds))
    ).rowcount
    waits = connection.execute(
        update(jobs)
        .where(
            jobs.c.status == JobStatus.PENDING,
            or_(jobs.c.available_at > now_plus(clamp_seconds), jobs.c.next_dispatch_at > now_plus(clamp_seconds)),
        )
        .values(available_at=now_plus(), next_dispatch_at=now_plus())
    ).rowcount
    return leases + waits
