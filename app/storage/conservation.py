"""Whether every job that was accepted is still somewhere (docs/decisions/conservation.md).

What was accepted is told by the outbox, where jobs are by their own rows: two tables, so that a loss in one shows. Only
the newest jobs are looked at, by the indexes of their time, so the cost does not grow with the jobs that ever were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, case, func, literal, or_, select

from app.domain.jobs import EventType, JobKind, JobStatus
from app.domain.tasks import PHASE
from app.storage.clock import once_now_plus
from app.storage.schema import events, jobs, plans, tasks

#: How far back jobs are looked at.
WINDOW_SECONDS = 600.0

#: No more of them than this, the newest.
MOST_JOBS = 1000

#: No more events than this are read to find them: of a job that meets no trouble there are three.
MOST_EVENTS = 4000


@dataclass(frozen=True)
class AcceptedJobs:
    """How many accepted jobs of a kind are in a state; None is for those that have no row any more."""

    kind: JobKind
    status: JobStatus | None
    count: int


@dataclass(frozen=True)
class JobFaults:
    """Jobs whose rows contradict what else is known of them."""

    not_accepted: int
    """There is a job that no event ever told of."""
    tasks_missing: int
    """The plan says that this job made its tasks, and not all of them are there."""


def count_accepted(connection: Connection) -> Sequence[AcceptedJobs]:
    """Count the newest accepted jobs by what has become of them; one statement, so that no job is between two."""
    return [
        AcceptedJobs(JobKind(row.kind), None if row.status is None else JobStatus(row.status), row.number)
        for row in connection.execute(_ACCEPTED)
    ]


def count_faults(connection: Connection) -> JobFaults:
    """Count the faults of the newest jobs."""
    row = connection.execute(_FAULTS).one()
    return JobFaults(not_accepted=row.not_accepted, tasks_missing=row.tasks_missing)


def in_state(counts: Sequence[AcceptedJobs]) -> Mapping[tuple[JobKind, JobStatus | None], int]:
    """Return the same counts by kind and state."""
    return {(count.kind, count.status): count.count for count in counts}


# Everywhere below a subquery for each row and no join: with a join, PostgreSQL may read every job that ever was to look
# up a few thousand.
# An event of the same type tells that a job waits for its next attempt.
_is_first = and_(events.c.type == EventType.ENQUEUED, events.c.data["attempt"].as_integer() == 0)
# The newest of all kinds first, and the wanted ones of those: PostgreSQL takes the wanted ones for so rare that it
# would rather read and sort the whole table.
_told = (
    select(events.c.job_id, events.c.type, events.c.data)
    .where(events.c.created_at > once_now_plus(-WINDOW_SECONDS))
    .order_by(events.c.created_at.desc(), events.c.id.desc())
    .limit(MOST_EVENTS)
    .subquery()
)
_found = (
    select(
        _told.c.data["kind"].as_string().label("kind"),
        select(jobs.c.status).where(jobs.c.job_id == _told.c.job_id).scalar_subquery().label("status"),
    )
    .where(_told.c.type == EventType.ENQUEUED, _told.c.data["attempt"].as_integer() == 0)
    .subquery()
)
_ACCEPTED = select(_found.c.kind, _found.c.status, func.count().label("number")).group_by(
    _found.c.kind, _found.c.status
)

_newest = (
    select(
        jobs.c.job_id,
        jobs.c.plan_id,
        jobs.c.kind,
        jobs.c.status,
        # A job that does not tell how many tasks it made must have made one.
        func.coalesce(jobs.c.result["taskCount"].as_integer(), 1).label("task_count"),
    )
    .where(jobs.c.created_at > once_now_plus(-WINDOW_SECONDS))
    .order_by(jobs.c.created_at.desc(), jobs.c.job_id.desc())
    .limit(MOST_JOBS)
    .subquery()
)
_event = select(events.c.id).where(events.c.job_id == _newest.c.job_id, _is_first).limit(1).scalar_subquery()
_latch = select(plans.c.phase1_job_id).where(plans.c.id == _newest.c.plan_id).scalar_subquery()
_made = (
    select(func.count())
    .select_from(tasks)
    .where(tasks.c.plan_id == _newest.c.plan_id, tasks.c.phase == PHASE)
    .scalar_subquery()
)
_FAULTS = select(
    func.count(case((_event.is_(None), literal(1)))).label("not_accepted"),
    func.count(
        case(
            (
                and_(
                    _newest.c.kind == JobKind.PHASE1,
                    _latch == _newest.c.job_id,
                    or_(_newest.c.status != JobStatus.COMPLETED, _made < _newest.c.task_count),
                ),
                literal(1),
            )
        )
    ).label("tasks_missing"),
)
