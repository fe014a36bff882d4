"""What is read of jobs, beside their transitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, select, update

from app.domain.jobs import AttemptOutcome, JobKind
from app.storage.schema import attempts, jobs


def set_result(connection: Connection, job_id: UUID, result: Mapping[str, object]) -> None:
    """Write the result of a job that the same transaction has completed."""
    connection.execute(_SET_RESULT, {"the_job": job_id, "the_result": dict(result)})


def ended_with(connection: Connection, job_id: UUID, fence: int, outcome: AttemptOutcome) -> bool:
    """Tell whether the run with this fence has ended in this way."""
    found = connection.scalar(select(attempts.c.outcome).where(attempts.c.job_id == job_id, attempts.c.fence == fence))
    return bool(found == outcome)


def latest_job(connection: Connection, plan_id: UUID, kind: JobKind) -> Row[Any] | None:
    """Return the newest job of this kind of a plan."""
    return connection.execute(
        select(jobs).where(jobs.c.plan_id == plan_id, jobs.c.kind == kind).order_by(jobs.c.generation.desc()).limit(1)
    ).one_or_none()


def job_by_id(connection: Connection, job_id: UUID) -> Row[Any] | None:
    """Return the whole row of a job."""
    return connection.execute(select(jobs).where(jobs.c.job_id == job_id)).one_or_none()


def job_exists(connection: Connection, job_id: UUID) -> bool:
    """Tell whether there is such a job."""
    return connection.scalar(select(jobs.c.job_id).where(jobs.c.job_id == job_id)) is not None


def attempts_of(connection: Connection, job_id: UUID) -> Sequence[Row[Any]]:
    """Return the attempts of a job, first to last."""
    return connection.execute(
        select(attempts).where(attempts.c.job_id == job_id).order_by(attempts.c.attempt_number)
    ).all()


_SET_RESULT = update(jobs).where(jobs.c.job_id == bindparam("the_job")).values(result=bindparam("the_result"))
