"""Attempts of jobs: one row for each run."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, Float, Integer, Uuid, bindparam, insert, update

from app.domain.jobs import AttemptOutcome, RunVia
from app.storage.clock import now_plus
from app.storage.schema import attempts


def open_attempt(connection: Connection, job_id: UUID, fence: int, *, number: int, worker: str, via: RunVia) -> None:
    """Begin the attempt of a run."""
    connection.execute(
        _OPEN_ATTEMPT, {"job_id": job_id, "fence": fence, "attempt_number": number, "worker": worker, "via": via}
    )


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


# Every job runs these: building a statement takes longer than SQLite takes to run it.
_OPEN_ATTEMPT = insert(attempts).values(
    job_id=bindparam("job_id"),
    fence=bindparam("fence"),
    attempt_number=bindparam("attempt_number"),
    worker=bindparam("worker"),
    via=bindparam("via"),
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
