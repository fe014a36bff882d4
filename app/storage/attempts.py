"""Attempts of jobs, and the dead letters that carry all of them."""

from __future__ import annotations

from uuid import UUID, uuid4

from sqlalchemy import Connection, Float, Integer, Uuid, bindparam, insert, select, update

from app.domain.jobs import AttemptOutcome
from app.storage.clock import now_plus
from app.storage.schema import attempts, dead_letters, jobs


def open_attempt(connection: Connection, job_id: UUID, fence: int, *, number: int, worker: str) -> None:
    """Begin the attempt of a run."""
    connection.execute(_OPEN_ATTEMPT, {"job_id": job_id, "fence": fence, "attempt_number": number, "worker": worker})


def close_attempt(
    connection: Connection,
    job_id: UUID,
    fence: int,
    outcome: AttemptOutcome,
    *,
    code: str | None = None,
    message: str | None = None,
    retry_in: float | None = None,
) -> None:
    """End the attempt that was opened with this fence."""
    connection.execute(
        _CLOSE_ATTEMPT,
        {
            "the_job": job_id,
            "the_fence": fence,
            "outcome": outcome,
            "error_code": code,
            "error_message": message,
            "the_pause_seconds": retry_in,
        },
    )


def archive(connection: Connection, job_id: UUID, *, reason: str, message: str) -> None:
    """Write the dead letter of a failed job, with all its attempts, in the transaction that fails it."""
    job = connection.execute(select(jobs).where(jobs.c.job_id == job_id)).one()
    history = connection.execute(
        select(attempts).where(attempts.c.job_id == job_id).order_by(attempts.c.attempt_number)
    ).all()
    connection.execute(
        insert(dead_letters).values(
            id=uuid4(),
            job_id=job_id,
            plan_id=job.plan_id,
            kind=job.kind,
            reason=reason,
            error_message=message,
            payload={"v": 1, "jobId": str(job_id), "planId": str(job.plan_id), "kind": job.kind},
            history=[
                {
                    "attempt": attempt.attempt_number,
                    "worker": attempt.worker,
                    "startedAt": attempt.started_at.isoformat(),
                    "endedAt": attempt.ended_at and attempt.ended_at.isoformat(),
                    "outcome": attempt.outcome,
                    "errorCode": attempt.error_code,
                    "errorMessage": attempt.error_message,
                }
                for attempt in history
            ],
            archived_at=now_plus(),
        )
    )


# Every job runs these: building a statement takes longer than SQLite takes to run it.
_OPEN_ATTEMPT = insert(attempts).values(
    job_id=bindparam("job_id"),
    fence=bindparam("fence"),
    attempt_number=bindparam("attempt_number"),
    worker=bindparam("worker"),
    started_at=now_plus(),
    outcome=AttemptOutcome.RUNNING,
)

_CLOSE_ATTEMPT = (
    update(attempts)
    .where(
        attempts.c.job_id == bindparam("the_job", type_=Uuid()),
        attempts.c.fence == bindparam("the_fence", type_=Integer()),
    )
    .values(
        ended_at=now_plus(),
        outcome=bindparam("outcome"),
        error_code=bindparam("error_code"),
        error_message=bindparam("error_message"),
        retry_at=now_plus(bindparam("the_pause_seconds", type_=Float())),
    )
)
