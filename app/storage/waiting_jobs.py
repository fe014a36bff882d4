"""The jobs of a queue that wait: how many, for how long, and how many come due at once.

All of it is read from the index of the jobs that wait, which finished jobs are not in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, func, literal, select

from app.domain.jobs import JobKind, JobStatus
from app.storage.clock import now_plus, once_now_plus
from app.storage.schema import jobs

#: No more waiting jobs than this are counted when a job comes to them: counting must cost nothing beside the insert.
MOST_COUNTED = 1001

# A literal, for a partial index serves no parameter.
_WAITS = jobs.c.status == literal(JobStatus.PENDING.value, literal_execute=True)


def count_waiting(connection: Connection, kind: JobKind) -> int:
    """Return how many jobs of a kind wait, due or not; `MOST_COUNTED` stands for any higher number too."""
    return connection.scalar(_COUNT, {"the_kind": kind}) or 0


def oldest_claimable_seconds(connection: Connection) -> Mapping[JobKind, float]:
    """Return for how long the oldest job of each kind could have been claimed, but for a pause of its queue.

    0 for a kind without such a job; jobs that wait for their next attempt are none.
    """
    ages = {kind: connection.scalar(_OLDEST, {"the_kind": kind}) for kind in JobKind}
    return {kind: max(0.0, (age or 0) / 1000) for kind, age in ages.items()}


def count_coming_due(connection: Connection, within_seconds: Sequence[int]) -> Mapping[tuple[JobKind, int], int]:
    """Return how many jobs of each kind wait for a time within each of these spans from now on."""
    counts = {}
    for kind in JobKind:
        statement = select(
            *(func.count(case((jobs.c.available_at <= once_now_plus(seconds), 1))) for seconds in within_seconds)
        ).where(_waits_for(kind), jobs.c.available_at > once_now_plus(), jobs.c.available_at <= _end(within_seconds))
        for seconds, count in zip(within_seconds, connection.execute(statement).one(), strict=True):
            counts[kind, seconds] = count
    return counts


def _waits_for(kind: JobKind) -> ColumnElement[bool]:
    return and_(_WAITS, jobs.c.kind == kind)


def _end(within_seconds: Sequence[int]) -> ColumnElement[int]:
    return once_now_plus(max(within_seconds))


_COUNT = select(func.count()).select_from(
    select(literal(1)).where(_WAITS, jobs.c.kind == bindparam("the_kind")).limit(MOST_COUNTED).subquery()
)

# The first entry of the index; when even that job is not due, none is.
_OLDEST = select(now_plus() - func.min(jobs.c.available_at)).where(_WAITS, jobs.c.kind == bindparam("the_kind"))
