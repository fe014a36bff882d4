"""What the API reads of jobs: lists, searches, counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select
from sqlalchemy.dialects.postgresql import JSONB

from app.domain.dead_letters import ErrorClass, LetterStatus
from app.domain.job_query import JobQuery
from app.domain.jobs import JobKind, JobStatus
from app.storage.clock import now_plus
from app.storage.database import Database
from app.storage.paging import Page, PageRequest, fetch_page
from app.storage.schema import dead_letters, jobs, plans


@dataclass(frozen=True)
class JobCount:
    """How many jobs of a kind are in a state."""

    kind: JobKind
    status: JobStatus
    count: int


@dataclass(frozen=True)
class DeadLetterCount:
    """How many dead letters of a kind of job, None for messages, wait for a person, by their reason."""

    kind: JobKind | None
    reason: str
    error_class: ErrorClass
    count: int


def jobs_page(database: Database, connection: Connection, request: PageRequest, query: JobQuery) -> Page:
    """Return the jobs that meet every condition, newest first."""
    statement = select(jobs)
    if query.status is not None:
        statement = statement.where(jobs.c.status == query.status)
    if query.kind is not None:
        statement = statement.where(jobs.c.kind == query.kind)
    if query.plan_id is not None:
        statement = statement.where(jobs.c.plan_id == query.plan_id)
    if query.since_seconds is not None:
        statement = statement.where(jobs.c.created_at >= now_plus(-query.since_seconds))
    if query.agent is not None:
        statement = statement.where(jobs.c.plan_id.in_(select(plans.c.id).where(names_channel(database, query.agent))))
    return fetch_page(connection, statement, request, by=jobs.c.created_at, row_id=jobs.c.job_id)


def jobs_of(connection: Connection, plan_id: UUID) -> Sequence[Row[Any]]:
    """Return every job of a plan, oldest first."""
    return connection.execute(
        select(jobs).where(jobs.c.plan_id == plan_id).order_by(jobs.c.created_at, jobs.c.job_id)
    ).all()


def count_jobs(connection: Connection) -> Sequence[JobCount]:
    """Return how many jobs of each kind are in each state; what has none is left out. It reads an index to its end."""
    return _counted(connection, _COUNT)


def count_open_jobs(connection: Connection) -> Sequence[JobCount]:
    """Return the same of the jobs that wait or run; finished ones cost nothing."""
    return _counted(connection, _COUNT_OPEN)


def oldest_due_seconds(connection: Connection) -> dict[JobKind, float]:
    """Return for how long the oldest claimable job of each kind has been waiting; a kind without one is left out."""
    rows = connection.execute(
        select(jobs.c.kind, (now_plus() - func.min(jobs.c.available_at)).label("milliseconds"))
        .where(jobs.c.status == JobStatus.PENDING, jobs.c.available_at <= now_plus())
        .group_by(jobs.c.kind)
    )
    return {JobKind(row.kind): row.milliseconds / 1000 for row in rows}


def troubled_jobs(connection: Connection, *, within_seconds: float, limit: int) -> Sequence[Row[Any]]:
    """Return the newest jobs that failed, retried or lost a lease, created within the span, newest first."""
    return connection.execute(
        select(jobs)
        .where(
            jobs.c.created_at >= now_plus(-within_seconds),
            or_(jobs.c.error_count > 0, jobs.c.crash_count > 0, jobs.c.status == JobStatus.FAILED),
        )
        .order_by(jobs.c.created_at.desc(), jobs.c.job_id.desc())
        .limit(limit)
    ).all()


def count_dead_letters(connection: Connection) -> Sequence[DeadLetterCount]:
    """Count the dead letters that wait for a person."""
    columns = (dead_letters.c.kind, dead_letters.c.reason, dead_letters.c.error_class)
    rows = connection.execute(
        select(*columns, func.count().label("number"))
        .where(dead_letters.c.status == LetterStatus.WAITING)
        .group_by(*columns)
        .order_by(dead_letters.c.kind.nulls_last(), dead_letters.c.reason, dead_letters.c.error_class)
    )
    return [
        DeadLetterCount(JobKind(row.kind) if row.kind else None, row.reason, ErrorClass(row.error_class), row.number)
        for row in rows
    ]


def names_channel(database: Database, channel: str) -> ColumnElement[bool]:
    """Return the condition that the list of a plan's channels holds this one."""
    if database.dialect == "postgresql":
        return plans.c.channels.cast(JSONB).contains([channel])
    members = func.json_each(plans.c.channels).table_valued("value")
    return select(members.c.value).where(members.c.value == channel).exists()


def _counted(connection: Connection, statement: Select[str, str, int]) -> Sequence[JobCount]:
    rows = connection.execute(statement)
    return [JobCount(JobKind(row.kind), JobStatus(row.status), row.number) for row in rows]


_COUNT = select(jobs.c.kind, jobs.c.status, func.count().label("number")).group_by(jobs.c.kind, jobs.c.status)

# The kinds too, for the index of kinds and states serves nobody who names the states alone.
_COUNT_OPEN = _COUNT.where(jobs.c.kind.in_(list(JobKind)), jobs.c.status.in_([JobStatus.PENDING, JobStatus.ACTIVE]))
