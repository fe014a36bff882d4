"""What is read of dead letters: lists, one letter, and what a retry must know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Row, Select, func, or_, select

from app.domain.dead_letters import LetterFilter, LetterStatus
from app.domain.jobs import JobKind, JobStatus
from app.storage.clock import now_plus
from app.storage.database import Database
from app.storage.job_reads import names_channel
from app.storage.paging import Page, PageRequest, fetch_page
from app.storage.schema import dead_letters, jobs, plans

_Columns = TypeVar("_Columns", bound=tuple[Any, ...])


@dataclass(frozen=True)
class RetryCandidate:
    """A dead letter, and whether a job may follow it: what its plan and the plan's jobs of this kind are at.

    `job_id`, `plan_id`, `kind` and what is read of the plan are None for a message.
    """

    letter_id: UUID
    job_id: UUID | None
    plan_id: UUID | None
    kind: JobKind | None
    status: LetterStatus
    retried_as: UUID | None
    plan_status: str | None
    plan_has_tasks: bool
    newest_generation: int | None
    job_open: bool


def letters_page(database: Database, connection: Connection, request: PageRequest, wanted: LetterFilter) -> Page:
    """Return the letters that meet every condition, newest first."""
    statement = _filtered(database, select(dead_letters), wanted)
    return fetch_page(connection, statement, request, by=dead_letters.c.archived_at, row_id=dead_letters.c.id)


def letter_by_id(connection: Connection, letter_id: UUID) -> Row[Any] | None:
    """Return the whole row of a letter, by the id of its job or by its own."""
    return connection.execute(select(dead_letters).where(_named(letter_id))).one_or_none()


def jobs_to_retry(database: Database, connection: Connection, wanted: LetterFilter, *, limit: int) -> Sequence[UUID]:
    """Return the ids of letters of jobs that meet every condition, oldest first."""
    statement = _filtered(database, select(dead_letters.c.id).where(dead_letters.c.job_id.is_not(None)), wanted)
    return connection.scalars(statement.order_by(dead_letters.c.archived_at, dead_letters.c.id).limit(limit)).all()


def retry_candidate(connection: Connection, letter_id: UUID) -> RetryCandidate | None:
    """Return one letter, by the id of its job or by its own."""
    row = connection.execute(_CANDIDATES.where(_named(letter_id))).one_or_none()
    return None if row is None else _candidate(row)


def retry_candidates(connection: Connection, letter_ids: Sequence[UUID]) -> Sequence[RetryCandidate]:
    """Return those of these letters that exist, by their own ids, in this order."""
    rows = connection.execute(_CANDIDATES.where(dead_letters.c.id.in_(letter_ids)))
    found = {row.letter_id: _candidate(row) for row in rows}
    return [found[letter_id] for letter_id in letter_ids if letter_id in found]


def _filtered(database: Database, statement: Select[_Columns], wanted: LetterFilter) -> Select[_Columns]:
    column = dead_letters.c
    if wanted.status is not None:
        statement = statement.where(column.status == wanted.status)
    if wanted.kind is not None:
        statement = statement.where(column.kind == wanted.kind)
    if wanted.reason is not None:
        statement = statement.where(column.reason == wanted.reason)
    if wanted.error_class is not None:
        statement = statement.where(column.error_class == wanted.error_class)
    if wanted.plan_id is not None:
        statement = statement.where(column.plan_id == wanted.plan_id)
    if wanted.since_seconds is not None:
        statement = statement.where(column.archived_at >= now_plus(-wanted.since_seconds))
    if wanted.text is not None:
        statement = statement.where(column.error_message.icontains(wanted.text, autoescape=True))
    if wanted.channel is not None:
        of_channel = select(plans.c.id).where(names_channel(database, wanted.channel))
        statement = statement.where(column.plan_id.in_(of_channel))
    return statement


def _named(letter_id: UUID) -> Any:  # noqa: ANN401 -- a condition
    return or_(dead_letters.c.job_id == letter_id, dead_letters.c.id == letter_id)


def _candidate(row: Row[Any]) -> RetryCandidate:
    return RetryCandidate(
        letter_id=row.letter_id,
        job_id=row.job_id,
        plan_id=row.plan_id,
        kind=None if row.kind is None else JobKind(row.kind),
        status=LetterStatus(row.status),
        retried_as=row.retried_as,
        plan_status=row.plan_status,
        plan_has_tasks=row.phase1_job_id is not None,
        newest_generation=row.newest_generation,
        job_open=row.job_open,
    )


_OF_THE_SAME_KIND = (jobs.c.plan_id == dead_letters.c.plan_id, jobs.c.kind == dead_letters.c.kind)

_CANDIDATES = select(
    dead_letters.c.id.label("letter_id"),
    dead_letters.c.job_id,
    dead_letters.c.plan_id,
    dead_letters.c.kind,
    dead_letters.c.status,
    dead_letters.c.retried_as,
    plans.c.status.label("plan_status"),
    plans.c.phase1_job_id,
    select(func.max(jobs.c.generation)).where(*_OF_THE_SAME_KIND).scalar_subquery().label("newest_generation"),
    select(jobs.c.id)
    .where(*_OF_THE_SAME_KIND, jobs.c.status.in_([JobStatus.PENDING, JobStatus.ACTIVE]))
    .exists()
    .label("job_open"),
).select_from(dead_letters.outerjoin(plans, plans.c.id == dead_letters.c.plan_id))
