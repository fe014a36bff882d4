"""The transitions of one job and its runs (docs/reference/job-protocol.md, T1 to T5).

Each one is a single conditional UPDATE. None or False means that somebody else was first: the caller writes nothing
more and rolls back. Every function works in the transaction of the connection that it is given, and `now` is always
the database's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Float,
    Integer,
    Uuid,
    bindparam,
    case,
    insert,
    update,
)
from sqlalchemy.sql.dml import Update

from app.domain.jobs import AttemptOutcome, JobKind, JobStatus, RunVia
from app.storage.attempts import close_attempt, open_attempt
from app.storage.clock import now_plus
from app.storage.controls import is_held
from app.storage.dead_letters import archive_job
from app.storage.letter_notices import tell_retried_job_completed
from app.storage.schema import jobs


@dataclass(frozen=True)
class Claim:
    """A run of a job: what T2 returned. `fence` goes into every later write of this run."""

    job_id: UUID
    plan_id: UUID
    kind: JobKind
    fence: int
    attempt_number: int
    error_count: int
    created_at: datetime
    #: Seconds until the job's total deadline, by the database's clock; may be negative.
    seconds_left: float
    #: Longest time that one attempt may take.
    timeout_seconds: float
    request_id: str | None


def insert_job(
    connection: Connection,
    *,
    plan_id: UUID,
    kind: JobKind,
    total_seconds: float,
    grace_seconds: float,
    timeout_seconds: float,
    generation: int = 1,
    retry_of: UUID | None = None,
    request_id: str | None = None,
    job_id: UUID | None = None,
    delay_seconds: float = 0.0,
) -> UUID:
    """Insert a pending job, due after `delay_seconds`; the sweeper sends its first hint `grace_seconds` later (T1).

    Raises:
        ConflictError: The plan has an open job of this kind, or this generation exists.
    """
    job_id = job_id or uuid4()
    connection.execute(
        _INSERT_JOB,
        {
            "id": uuid4(),
            "job_id": job_id,
            "plan_id": plan_id,
            "kind": kind,
            "generation": generation,
            "retry_of": retry_of,
            "status": JobStatus.PENDING,
            "timeout_seconds": timeout_seconds,
            "timeout_reason": {"mode": "fixed"},
            "request_id": request_id,
            "due_in_seconds": delay_seconds,
            "hint_in_seconds": delay_seconds + grace_seconds,
            "ends_in_seconds": delay_seconds + total_seconds,
        },
    )
    return job_id


def claim(
    connection: Connection,
    job_id: UUID,
    *,
    owner: str,
    lease_seconds: float,
    crash_count: int = 0,
    via: RunVia = RunVia.QUEUE,
    even_if_paused: bool = False,
) -> Claim | None:
    """Take a due job for `owner` until the lease ends (T2), and open its attempt.

    It is taken only while exactly `crash_count` processes have died under it. Jobs of a paused or drained queue are
    taken by nobody, but for runs in place that an operator has asked for.
    """
    row = connection.execute(
        _CLAIM_PAUSED_TOO if even_if_paused else _CLAIM,
        {"the_job": job_id, "the_owner": owner, "the_lease_seconds": lease_seconds, "the_crash_count": crash_count},
    ).one_or_none()
    if row is None:
        return None
    open_attempt(connection, job_id, row.fence, number=row.attempt_number, worker=owner, via=via)
    return Claim(
        job_id=job_id,
        plan_id=row.plan_id,
        kind=JobKind(row.kind),
        fence=row.fence,
        attempt_number=row.attempt_number,
        error_count=row.error_count,
        created_at=row.created_at,
        seconds_left=row.milliseconds_left / 1000,
        # What an attempt before had was made for its agents; this is what every attempt may have.
        timeout_seconds=row.timeout_reason.get("attemptSeconds", row.timeout_seconds),
        request_id=row.request_id,
    )


def beat(connection: Connection, job_id: UUID, fence: int, *, lease_seconds: float, progress: int) -> bool:
    """Renew the lease of a run (T3), and tell its progress in percent."""
    return _moved(
        connection,
        update(jobs).where(*_held(job_id, fence)).values(lease_until_at=now_plus(lease_seconds), progress=progress),
    )


def set_limit(
    connection: Connection, job_id: UUID, fence: int, *, seconds: float, reason: Mapping[str, object]
) -> bool:
    """Tell the time limit that a run has given itself, and why.

    `attemptSeconds` of the reason is the most that any attempt may have.
    """
    return _moved(
        connection,
        update(jobs).where(*_held(job_id, fence)).values(timeout_seconds=seconds, timeout_reason=dict(reason)),
    )


def complete(connection: Connection, job_id: UUID, fence: int) -> float | None:
    """End a run in success (T4); the caller writes its effects and its result in the same transaction.

    Returns the seconds since the job was created, or None when the run had lost its lease.
    """
    row = connection.execute(_COMPLETE, {"the_job": job_id, "the_fence": fence}).one_or_none()
    if row is None:
        return None
    close_attempt(connection, job_id, fence, AttemptOutcome.COMPLETED)
    if row.retry_of is not None:
        tell_retried_job_completed(connection, job_id, row.retry_of)
    return float(row.age) / 1000


def put_back(
    connection: Connection, job_id: UUID, fence: int, *, code: str, message: str, delay_seconds: float
) -> bool:
    """End a run with a recoverable failure: the job is due again after `delay_seconds` (T5)."""
    moved = _moved(
        connection,
        update(jobs)
        .where(*_held(job_id, fence))
        .values(
            status=JobStatus.PENDING,
            error_count=jobs.c.error_count + 1,
            error_code=code,
            error_message=message,
            available_at=now_plus(delay_seconds),
            next_dispatch_at=now_plus(delay_seconds),
            **NO_LEASE,
        ),
    )
    if moved:
        close_attempt(
            connection, job_id, fence, AttemptOutcome.RETRYING, code=code, message=message, retry_in=delay_seconds
        )
    return moved


def postpone(
    connection: Connection, job_id: UUID, fence: int, *, code: str, message: str, delay_seconds: float
) -> bool:
    """Put a run off before its work has begun: the job is due again after `delay_seconds` (T5c).

    No failure is counted, and the job keeps the error of its last failure.
    """
    due_at = now_plus(delay_seconds)
    moved = _moved(
        connection,
        update(jobs)
        .where(*_held(job_id, fence))
        .values(status=JobStatus.PENDING, available_at=due_at, next_dispatch_at=due_at, **NO_LEASE),
    )
    if moved:
        close_attempt(
            connection, job_id, fence, AttemptOutcome.POSTPONED, code=code, message=message, retry_in=delay_seconds
        )
    return moved


def release(connection: Connection, job_id: UUID, fence: int) -> bool:
    """Give a run back untouched, due now: the worker was told to stop (T5b)."""
    moved = _moved(
        connection,
        update(jobs)
        .where(*_held(job_id, fence))
        .values(status=JobStatus.PENDING, available_at=now_plus(), next_dispatch_at=now_plus(), **NO_LEASE),
    )
    if moved:
        close_attempt(connection, job_id, fence, AttemptOutcome.RELEASED)
    return moved


def fail(connection: Connection, job_id: UUID, fence: int, *, code: str, message: str) -> bool:
    """End a run for good (T5): the job fails, and its dead letter carries the whole history."""
    moved = _moved(
        connection,
        update(jobs)
        .where(*_held(job_id, fence))
        .values(status=JobStatus.FAILED, error_code=code, error_message=message, completed_at=now_plus(), **NO_LEASE),
    )
    if moved:
        close_attempt(connection, job_id, fence, AttemptOutcome.FAILED, code=code, message=message)
        archive_job(connection, job_id, reason=code, message=message)
    return moved


#: What a job has that nobody holds.
NO_LEASE: dict[str, None] = {"lease_owner": None, "lease_until_at": None}


def _held(job_id: UUID | BindParameter[UUID], fence: int | BindParameter[int]) -> tuple[ColumnElement[bool], ...]:
    return jobs.c.job_id == job_id, jobs.c.fence == fence, jobs.c.status == JobStatus.ACTIVE


def _moved(connection: Connection, statement: Update) -> bool:
    return connection.execute(statement).rowcount == 1


# Statements that every job runs are built once: building one takes longer than SQLite takes to run it.
_JOB: BindParameter[UUID] = bindparam("the_job", type_=Uuid())
_FENCE: BindParameter[int] = bindparam("the_fence", type_=Integer())

_INSERT_JOB = insert(jobs).values(
    available_at=now_plus(bindparam("due_in_seconds", type_=Float())),
    next_dispatch_at=now_plus(bindparam("hint_in_seconds", type_=Float())),
    deadline_at=now_plus(bindparam("ends_in_seconds", type_=Float())),
    created_at=now_plus(),
)

_CLAIM_PAUSED_TOO = (
    update(jobs)
    .where(
        jobs.c.job_id == _JOB,
        jobs.c.status == JobStatus.PENDING,
        jobs.c.available_at <= now_plus(),
        jobs.c.crash_count == bindparam("the_crash_count", type_=Integer()),
    )
    .values(
        status=JobStatus.ACTIVE,
        attempt_number=jobs.c.attempt_number + 1,
        fence=jobs.c.fence + 1,
        lease_owner=bindparam("the_owner"),
        lease_until_at=now_plus(bindparam("the_lease_seconds", type_=Float())),
        started_at=case((jobs.c.started_at.is_(None), now_plus()), else_=jobs.c.started_at),
        # The total time runs from the first start: waiting for a worker does not use it up.
        deadline_at=case(
            (jobs.c.started_at.is_(None), now_plus() + jobs.c.deadline_at - jobs.c.created_at),
            else_=jobs.c.deadline_at,
        ),
        progress=0,
    )
    .returning(
        jobs.c.plan_id,
        jobs.c.kind,
        jobs.c.fence,
        jobs.c.attempt_number,
        jobs.c.error_count,
        jobs.c.created_at,
        (jobs.c.deadline_at - now_plus()).label("milliseconds_left"),
        jobs.c.timeout_seconds,
        jobs.c.timeout_reason,
        jobs.c.request_id,
    )
)

_CLAIM = _CLAIM_PAUSED_TOO.where(~is_held(jobs.c.kind))

_COMPLETE = (
    update(jobs)
    .where(*_held(_JOB, _FENCE))
    .values(
        status=JobStatus.COMPLETED,
        progress=100,
        error_code=None,
        error_message=None,
        completed_at=now_plus(),
        **NO_LEASE,
    )
    .returning((now_plus() - jobs.c.created_at).label("age"), jobs.c.retry_of)
)
