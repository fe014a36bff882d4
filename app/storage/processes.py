"""Processes that show themselves: one row each, renewed with every beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, select

from app.domain.processes import ProcessRole
from app.storage.clock import now_plus
from app.storage.database import Database
from app.storage.schema import processes


@dataclass(frozen=True)
class SeenProcess:
    """A process, and how long ago it last showed itself."""

    owner: str
    role: ProcessRole
    started_at: datetime
    seen_seconds_ago: float


def show_process(database: Database, connection: Connection, owner: str, role: ProcessRole) -> None:
    """Write that this process runs, for the first time or again."""
    connection.execute(
        database.insert(processes)
        .values(owner=owner, role=role, started_at=now_plus(), seen_at=now_plus())
        .on_conflict_do_update(index_elements=[processes.c.owner], set_={"seen_at": now_plus()})
    )


def remove_process(connection: Connection, owner: str) -> None:
    """Note that a process has ended."""
    connection.execute(delete(processes).where(processes.c.owner == owner))


def forget_processes(connection: Connection, *, older_than_seconds: float) -> int:
    """Delete the rows of processes that have not shown themselves for so long; returns how many."""
    return connection.execute(delete(processes).where(processes.c.seen_at < now_plus(-older_than_seconds))).rowcount


def seen_processes(connection: Connection, *, within_seconds: float, limit: int) -> Sequence[SeenProcess]:
    """Return the processes that showed themselves within the span, the latest first."""
    rows = connection.execute(
        select(processes, (now_plus() - processes.c.seen_at).label("milliseconds"))
        .where(processes.c.role.in_(ProcessRole), processes.c.seen_at >= now_plus(-within_seconds))
        .order_by(processes.c.seen_at.desc(), processes.c.owner)
        .limit(limit)
    )
    return [
        SeenProcess(row.owner, ProcessRole(row.role), row.started_at, max(row.milliseconds, 0) / 1000) for row in rows
    ]


def count_processes(connection: Connection, *, within_seconds: float) -> Mapping[ProcessRole, int]:
    """Return how many processes of each role have shown themselves within the span."""
    rows = connection.execute(
        select(processes.c.role, func.count().label("found"))
        .where(processes.c.role.in_(ProcessRole), processes.c.seen_at >= now_plus(-within_seconds))
        .group_by(processes.c.role)
    )
    counted = {ProcessRole(row.role): int(row.found) for row in rows}
    return {role: counted.get(role, 0) for role in ProcessRole}


def is_running(connection: Connection, role: ProcessRole, *, within_seconds: float) -> bool:
    """Tell whether a process of this role has shown itself within the span."""
    found = select(processes.c.owner).where(processes.c.role == role, processes.c.seen_at >= now_plus(-within_seconds))
    return connection.scalar(found.limit(1)) is not None
