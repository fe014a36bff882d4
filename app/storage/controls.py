"""Controls: the switches of operators, one row each; no row is the default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, ColumnElement, Connection, literal, or_, select, type_coerce, update

from app.domain.controls import EMPTYING, HELD, MODE, QUEUE_PREFIX, Mode, QueueState, queue_control
from app.domain.jobs import JobKind, JobStatus
from app.storage.clock import now_plus
from app.storage.database import Database
from app.storage.schema import controls, jobs

#: An approval that read its switches just before a drain began may commit this much later, in seconds: its job still
#: belongs to the drain.
IN_FLIGHT_SECONDS = 1.0


@dataclass(frozen=True)
class Control:
    """One switch: where it stands, and who put it there, when and why; None for one that nobody has touched."""

    value: str
    reason: str | None = None
    changed_at: datetime | None = None
    changed_by: str | None = None


def mode_of(connection: Connection) -> Mode:
    """Return how Phase 1 jobs are run."""
    return Mode(connection.scalar(select(controls.c.value).where(controls.c.name == MODE)) or Mode.QUEUE)


def queue_state(connection: Connection, kind: JobKind) -> QueueState:
    """Return what workers do with the jobs of this kind."""
    found = connection.scalar(select(controls.c.value).where(controls.c.name == queue_control(kind)))
    return QueueState(found or QueueState.RUNNING)


def runs_in_place(connection: Connection, kind: JobKind) -> bool:
    """Tell whether a new job of this kind is run by the process that creates it; an analysis never is.

    It is in `sync` mode, and while its queue is to become or to stay empty.
    """
    if kind is not JobKind.PHASE1:
        return False
    found = all_controls(connection)
    return found[MODE].value == Mode.SYNC or found[queue_control(kind)].value in EMPTYING


def waits_for_scheduler(connection: Connection, kind: JobKind) -> bool:
    """Tell whether jobs of this kind that wait are run by the scheduler, and workers are not told of them.

    It is so for Phase 1 jobs in `sync` mode, unless the queue is paused or workers still empty it, and when it is
    drained: what is left then are retries of runs in place, and jobs that no process had room for.
    """
    if kind is not JobKind.PHASE1:
        return False
    found = all_controls(connection)
    state = found[queue_control(kind)].value
    return state == QueueState.DRAINED or (found[MODE].value == Mode.SYNC and state == QueueState.RUNNING)


def is_held(kind: JobKind | ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that nobody may claim jobs of this kind now, but for runs in place (T2)."""
    name = queue_control(kind) if isinstance(kind, JobKind) else literal(QUEUE_PREFIX) + kind
    # Every claim asks this, and IN has to be spelled out anew at each execution.
    held = or_(*(controls.c.value == state for state in HELD))
    return select(controls.c.name).where(controls.c.name == name, held).exists()


def switched_within(kind: JobKind, seconds: float) -> ColumnElement[bool]:
    """Return the condition that the switch of this kind's queue was turned within this span."""
    name = queue_control(kind)
    return select(controls.c.name).where(controls.c.name == name, controls.c.changed_at > now_plus(-seconds)).exists()


def all_controls(connection: Connection) -> Mapping[str, Control]:
    """Return every switch by its name."""
    found = {MODE: Control(Mode.QUEUE), **{queue_control(kind): Control(QueueState.RUNNING) for kind in JobKind}}
    for row in connection.execute(select(controls)):
        found[row.name] = Control(row.value, row.reason, row.changed_at, row.changed_by)
    return found


def set_control(
    database: Database, connection: Connection, name: str, value: str, *, actor: str, reason: str | None
) -> bool:
    """Turn a switch; False when it stood there already, and then its reason stays too."""
    values = {"value": value, "reason": reason, "changed_at": now_plus(), "changed_by": actor}
    turned = connection.scalar(
        database.insert(controls)
        .values(name=name, **values)
        .on_conflict_do_update(index_elements=[controls.c.name], set_=values, where=controls.c.value != literal(value))
        .returning(controls.c.name)
    )
    return turned is not None


def finish_drain(connection: Connection, kind: JobKind) -> bool:
    """Note that a draining queue is drained, when every job that the drain found has ended; False when it is not."""
    cutoff = type_coerce(controls.c.changed_at, BigInteger) + round(IN_FLIGHT_SECONDS * 1000)
    left = (
        select(jobs.c.job_id)
        .where(
            jobs.c.kind == kind,
            jobs.c.status.in_([JobStatus.PENDING, JobStatus.ACTIVE]),
            type_coerce(jobs.c.created_at, BigInteger) <= cutoff,
        )
        .exists()
    )
    return (
        connection.execute(
            update(controls)
            .where(
                controls.c.name == queue_control(kind),
                controls.c.value == QueueState.DRAINING,
                cutoff <= now_plus(),
                ~left,
            )
            .values(value=QueueState.DRAINED, changed_at=now_plus())
        ).rowcount
        == 1
    )
