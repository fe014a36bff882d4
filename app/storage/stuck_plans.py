"""Plans that make no progress although they should.

Each stage is looked at through an index that holds no finished jobs, so the cost does not grow with those. States and
kinds stand in the statements as literals, for a partial index serves no parameter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    String,
    and_,
    case,
    func,
    literal,
    select,
    union_all,
)

from app.domain.controls import HELD
from app.domain.jobs import JobKind, JobStatus, PlanStatus
from app.domain.stuck_plans import StuckCause
from app.settings import JobSettings
from app.storage.clock import now_plus, once_now_plus
from app.storage.controls import queue_state
from app.storage.schema import attempts, dead_letters, jobs, plans

#: How far back failed jobs are searched for one without its dead letter: it is written within seconds.
_LETTER_SECONDS = 3600.0

#: How far back leases are searched for one that is renewed for too long.
_LEASE_SECONDS = 86_400.0

#: Stands for the state of a job that is not there.
_NO_JOB = "none"

_T = TypeVar("_T")


@dataclass(frozen=True)
class StuckPlan:
    """A plan that has been in one stage for longer than its limit; `since_at` is when the stage began."""

    plan_id: UUID
    title: str
    stage: JobKind
    cause: StuckCause
    job_id: UUID | None
    since_at: datetime
    age_seconds: float
    limit_seconds: float


def stuck_plans(connection: Connection, settings: JobSettings, *, limit: int) -> Sequence[StuckPlan]:
    """Return up to `limit` stuck plans of each stage and cause, oldest first."""
    rows = connection.execute(_list(settings, _paused(connection), limit))
    return [
        StuckPlan(
            row.plan_id,
            row.title,
            JobKind(row.stage),
            StuckCause(row.cause),
            row.job_id,
            row.since_at,
            row.milliseconds / 1000,
            row.limit_seconds,
        )
        for row in rows
    ]


def count_stuck_plans(connection: Connection, settings: JobSettings) -> Mapping[StuckCause, int]:
    """Return how many plans are stuck for each cause, also for those that none has."""
    rows = connection.execute(_count(settings, _paused(connection)))
    return dict.fromkeys(StuckCause, 0) | {StuckCause(row.cause): row.number for row in rows}


def plans_without_job(connection: Connection, *, limit: int) -> Sequence[tuple[UUID, JobKind]]:
    """Return plans that have none of the jobs that could bring them on, oldest first, and the kind of it (T8a)."""
    found = union_all(*(stage(_NO_JOB) for stage in (_approved, _analyzing))).subquery()
    rows = connection.execute(select(found.c.plan_id, found.c.stage).order_by(found.c.since_at).limit(limit))
    return [(row.plan_id, JobKind(row.stage)) for row in rows]


def failed_plans(connection: Connection, *, limit: int) -> Sequence[UUID]:
    """Return approved plans whose newest job failed for good, oldest first: not stuck, for that is an end."""
    found = _approved(JobStatus.FAILED).subquery()
    return connection.scalars(select(found.c.plan_id).order_by(found.c.since_at).limit(limit)).all()


def _paused(connection: Connection) -> tuple[JobKind, ...]:
    return tuple(kind for kind in JobKind if queue_state(connection, kind) in HELD)


# Built once for each configuration: building them takes longer than most databases take to run them.
@lru_cache(maxsize=16)
def _list(settings: JobSettings, paused: tuple[JobKind, ...], limit: int) -> Select[*tuple[Any, ...]]:
    oldest = [
        select(stage.order_by(stage.selected_columns.since_at).limit(limit).subquery())
        for stage in _stages(settings, paused)
    ]
    found = union_all(*oldest).subquery()
    # A subquery and no join: SQLite would read every plan to find these few.
    title = select(plans.c.title).where(plans.c.id == found.c.plan_id).scalar_subquery()
    age = now_plus() - found.c.since_at
    return select(found, title.label("title"), age.label("milliseconds")).order_by(found.c.since_at, found.c.plan_id)


@lru_cache(maxsize=16)
def _count(settings: JobSettings, paused: tuple[JobKind, ...]) -> Select[*tuple[Any, ...]]:
    found = union_all(*_stages(settings, paused)).subquery()
    return select(found.c.cause, func.count().label("number")).group_by(found.c.cause)


def _stages(settings: JobSettings, paused: tuple[JobKind, ...]) -> list[Select[*tuple[Any, ...]]]:
    return [
        *(_waiting(kind, settings.waiting_seconds(kind), paused=kind in paused) for kind in JobKind),
        _running(settings),
        _lease_expired(settings),
        # A failed Phase 1 job is an end: its dead letter waits for a person.
        _approved(_NO_JOB, JobStatus.COMPLETED),
        _analyzing(_NO_JOB, JobStatus.COMPLETED, JobStatus.FAILED),
        _failed_without_letter(),
    ]


def _waiting(kind: JobKind, limit_seconds: float, *, paused: bool) -> Select[*tuple[Any, ...]]:
    cause = case(
        (and_(jobs.c.started_at.is_not(None), jobs.c.deadline_at < once_now_plus()), _word(StuckCause.PAST_DEADLINE)),
        (jobs.c.error_count > 0, _word(StuckCause.RETRY_OVERDUE)),
        else_=_word(StuckCause.WAITING),
    )
    return _found(
        jobs.c.plan_id,
        jobs.c.job_id,
        _word(kind),
        _word(StuckCause.QUEUE_PAUSED) if paused else cause,
        jobs.c.available_at,
        literal(limit_seconds),
    ).where(
        jobs.c.status == _word(JobStatus.PENDING),
        jobs.c.kind == _word(kind),
        jobs.c.available_at < once_now_plus(-limit_seconds),
    )


def _running(settings: JobSettings) -> Select[*tuple[Any, ...]]:
    beyond = settings.lease_seconds + 2 * settings.reap_seconds
    return (
        _found(
            jobs.c.plan_id,
            jobs.c.job_id,
            jobs.c.kind,
            _word(StuckCause.OVERRUN),
            attempts.c.started_at,
            jobs.c.timeout_seconds + beyond,
        )
        .join(attempts, and_(attempts.c.job_id == jobs.c.job_id, attempts.c.fence == jobs.c.fence))
        .where(
            jobs.c.status == _word(JobStatus.ACTIVE),
            # What is older is told as an expired lease; without a bound, SQLite may not use the index.
            jobs.c.lease_until_at > once_now_plus(-_LEASE_SECONDS),
            attempts.c.started_at < once_now_plus(-beyond) - jobs.c.timeout_seconds * 1000,
        )
    )


def _lease_expired(settings: JobSettings) -> Select[*tuple[Any, ...]]:
    limit = 2 * settings.reap_seconds
    return _found(
        jobs.c.plan_id,
        jobs.c.job_id,
        jobs.c.kind,
        _word(StuckCause.LEASE_EXPIRED),
        jobs.c.lease_until_at,
        literal(limit),
    ).where(jobs.c.status == _word(JobStatus.ACTIVE), jobs.c.lease_until_at < once_now_plus(-limit))


def _approved(*newest: JobStatus | str) -> Select[*tuple[Any, ...]]:
    waiting = and_(plans.c.status == _word(PlanStatus.APPROVED), plans.c.phase1_job_id.is_(None))
    return _without_open_job(JobKind.PHASE1, waiting, plans.c.approved_at, newest)


def _analyzing(*newest: JobStatus | str) -> Select[*tuple[Any, ...]]:
    waiting = plans.c.status == _word(PlanStatus.ANALYZING)
    return _without_open_job(JobKind.ANALYSIS, waiting, plans.c.created_at, newest)


def _without_open_job(
    kind: JobKind, waiting: ColumnElement[bool], since_at: ColumnElement[datetime], states: Sequence[str]
) -> Select[*tuple[Any, ...]]:
    """Select plans that wait, have no open job of this kind, and whose newest one is in one of these states.

    In two steps, for a planner that has the choice reads every job that ever was: first the plans without an open job,
    by the index that holds nothing else, and of those few the newest job.
    """
    open_job = jobs.alias("open_job")
    is_open = (
        select(open_job.c.plan_id)
        .where(
            open_job.c.plan_id == plans.c.id,
            open_job.c.kind == _word(kind),
            open_job.c.status.in_([_word(JobStatus.PENDING), _word(JobStatus.ACTIVE)]),
        )
        .exists()
    )
    left = (
        select(plans.c.id, since_at.label("since_at"))
        .where(waiting, since_at <= once_now_plus(), ~is_open)
        .cte(f"without_open_{kind}")
        .prefix_with("MATERIALIZED")
    )

    def newest(column: ColumnElement[_T]) -> ScalarSelect[_T]:
        return (
            select(column)
            .where(jobs.c.plan_id == left.c.id, jobs.c.kind == _word(kind))
            .order_by(jobs.c.generation.desc())
            .limit(1)
            .scalar_subquery()
        )

    job_id = newest(jobs.c.job_id)
    return _found(
        left.c.id,
        job_id,
        _word(kind),
        case((job_id.is_(None), _word(StuckCause.NO_JOB)), else_=_word(StuckCause.NOT_LATCHED)),
        func.coalesce(newest(jobs.c.completed_at), left.c.since_at),
        literal(0.0),
    ).where(func.coalesce(newest(jobs.c.status), _word(_NO_JOB)).in_([_word(state) for state in states]))


def _failed_without_letter() -> Select[*tuple[Any, ...]]:
    letter = select(dead_letters.c.id).where(dead_letters.c.job_id == jobs.c.job_id).exists()
    return _found(
        jobs.c.plan_id,
        jobs.c.job_id,
        jobs.c.kind,
        _word(StuckCause.NO_DEAD_LETTER),
        func.coalesce(jobs.c.completed_at, jobs.c.created_at),
        literal(0.0),
    ).where(
        jobs.c.kind.in_([_word(kind) for kind in JobKind]),
        jobs.c.status == _word(JobStatus.FAILED),
        # The time of its last hint, which is never much before its end.
        jobs.c.next_dispatch_at > once_now_plus(-_LETTER_SECONDS),
        ~letter,
    )


def _found(
    plan_id: ColumnElement[UUID],
    job_id: ColumnElement[UUID],
    stage: ColumnElement[str],
    cause: ColumnElement[str],
    since_at: ColumnElement[datetime],
    limit_seconds: ColumnElement[float],
) -> Select[*tuple[Any, ...]]:
    return select(
        plan_id.label("plan_id"),
        job_id.label("job_id"),
        stage.label("stage"),
        cause.label("cause"),
        since_at.label("since_at"),
        limit_seconds.label("limit_seconds"),
    )


def _word(value: str) -> BindParameter[str]:
    return literal(str(value), String, literal_execute=True)
