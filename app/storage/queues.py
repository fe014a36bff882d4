"""Whole queues: how much is open, every open job for an archive, and time given back after a pause."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, select, update

from app.domain.jobs import JobKind, JobStatus
from app.storage.clock import now_plus
from app.storage.controls import IN_FLIGHT_SECONDS
from app.storage.schema import attempts, dead_letters, jobs

_OPEN = jobs.c.status.in_([JobStatus.PENDING, JobStatus.ACTIVE])


@dataclass(frozen=True)
class QueueLoad:
    """The open jobs of one kind: those that can be claimed, that wait for their next attempt, that are held."""

    due: int = 0
    delayed: int = 0
    active: int = 0
    next_due_at: datetime | None = None
    """When the first of the delayed ones can be claimed."""
    oldest_due_at: datetime | None = None
    """Since when the oldest of the due ones could be claimed."""

    @property
    def open(self) -> int:
        """All of them."""
        return self.due + self.delayed + self.active


def queue_loads(connection: Connection, now: datetime) -> Mapping[JobKind, QueueLoad]:
    """Return the load of every kind at the database's `now`; finished jobs cost nothing."""
    waits = jobs.c.status == JobStatus.PENDING
    is_due, is_delayed = and_(waits, jobs.c.available_at <= now), and_(waits, jobs.c.available_at > now)
    rows = connection.execute(
        select(
            jobs.c.kind,
            _count(is_due).label("due"),
            _count(is_delayed).label("delayed"),
            _count(jobs.c.status == JobStatus.ACTIVE).label("active"),
            func.min(case((is_delayed, jobs.c.available_at))).label("next_due_at"),
            func.min(case((is_due, jobs.c.available_at))).label("oldest_due_at"),
        )
        .where(_OPEN)
        .group_by(jobs.c.kind)
    )
    loads = {
        JobKind(row.kind): QueueLoad(row.due, row.delayed, row.active, row.next_due_at, row.oldest_due_at)
        for row in rows
    }
    return {kind: loads.get(kind, QueueLoad()) for kind in JobKind}


def left_of_drain(connection: Connection, kind: JobKind, began_at: datetime) -> int:
    """Return how many open jobs a drain that began then still waits for; newer ones are none of its business."""
    return (
        connection.scalar(
            select(func.count()).where(
                jobs.c.kind == kind, _OPEN, jobs.c.created_at <= began_at + timedelta(seconds=IN_FLIGHT_SECONDS)
            )
        )
        or 0
    )


def restart_deadlines(connection: Connection, kind: JobKind, *, seconds: float) -> None:
    """Give each job that waits for its next attempt this much time from now on; others have not begun to use theirs."""
    connection.execute(
        update(jobs)
        .where(jobs.c.kind == kind, jobs.c.status == JobStatus.PENDING, jobs.c.started_at.is_not(None))
        .values(deadline_at=now_plus(seconds))
    )


def jobs_to_archive(connection: Connection, *, failed_within_seconds: float | None) -> Sequence[UUID]:
    """Return the ids of all open jobs, oldest first, then of those that failed within the span; each of them once."""
    found = list(connection.scalars(select(jobs.c.job_id).where(_OPEN).order_by(jobs.c.created_at, jobs.c.job_id)))
    if failed_within_seconds is not None:
        found += connection.scalars(
            select(dead_letters.c.job_id)
            .where(dead_letters.c.job_id.is_not(None), dead_letters.c.archived_at >= now_plus(-failed_within_seconds))
            .order_by(dead_letters.c.archived_at, dead_letters.c.id)
        )
    # One that failed between the two reads is in both.
    return list(dict.fromkeys(found))


def jobs_with_attempts(
    connection: Connection, job_ids: Sequence[UUID]
) -> Sequence[tuple[Row[Any], Sequence[Row[Any]]]]:
    """Return the rows of these jobs, in their order, each with its attempts, first to last."""
    rows = {row.job_id: row for row in connection.execute(select(jobs).where(jobs.c.job_id.in_(job_ids)))}
    runs: dict[UUID, list[Row[Any]]] = defaultdict(list)
    for run in connection.execute(
        select(attempts).where(attempts.c.job_id.in_(job_ids)).order_by(attempts.c.attempt_number)
    ):
        runs[run.job_id].append(run)
    return [(rows[job_id], runs[job_id]) for job_id in job_ids if job_id in rows]


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, 1)))
