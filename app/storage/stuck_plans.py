"""Plans that make no progress although they should."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, FromClause, and_, func, or_, select

from app.domain.jobs import JobKind, JobStatus, PlanStatus
from app.storage.clock import now_plus
from app.storage.schema import jobs, plans


class StuckCause(StrEnum):
    """Why an approved plan has no tasks yet."""

    NO_JOB = "no_job"
    """It has no Phase 1 job at all; reconciling makes one."""
    WAITING = "waiting"
    """Its job waits: for a worker, or for the next attempt."""
    RUNNING = "running"
    """Its job is being run."""
    NOT_LATCHED = "not_latched"
    """Its job completed, but the plan does not know: a defect."""


@dataclass(frozen=True)
class StuckPlan:
    """An approved plan without tasks for longer than the limit."""

    plan_id: UUID
    title: str
    approved_at: datetime
    age_seconds: float
    cause: StuckCause
    job_id: UUID | None


_CAUSES = {
    None: StuckCause.NO_JOB,
    JobStatus.PENDING: StuckCause.WAITING,
    JobStatus.ACTIVE: StuckCause.RUNNING,
    JobStatus.COMPLETED: StuckCause.NOT_LATCHED,
}

_JOB = jobs.alias("job")
_NEWER = jobs.alias("newer")


def stuck_plans(connection: Connection, *, older_than_seconds: float, limit: int) -> Sequence[StuckPlan]:
    """Return approved plans without tasks for longer than the limit, oldest first.

    A plan whose newest job failed is not among them: it has come to its end, as a dead letter with a reason.
    """
    source, condition = _stuck(older_than_seconds)
    rows = connection.execute(
        select(
            plans.c.id,
            plans.c.title,
            plans.c.approved_at,
            (now_plus() - plans.c.approved_at).label("milliseconds"),
            _JOB.c.job_id,
            _JOB.c.status.label("job_status"),
        )
        .select_from(source)
        .where(condition)
        .order_by(plans.c.approved_at)
        .limit(limit)
    )
    return [
        StuckPlan(row.id, row.title, row.approved_at, row.milliseconds / 1000, _CAUSES[row.job_status], row.job_id)
        for row in rows
    ]


def count_stuck_plans(connection: Connection, *, older_than_seconds: float) -> int:
    """Return how many plans `stuck_plans` would find without a limit."""
    source, condition = _stuck(older_than_seconds)
    return connection.scalar(select(func.count()).select_from(source).where(condition)) or 0


def _stuck(older_than_seconds: float) -> tuple[FromClause, ColumnElement[bool]]:
    newer = (
        select(_NEWER.c.job_id)
        .where(_NEWER.c.plan_id == plans.c.id, _NEWER.c.kind == JobKind.PHASE1, _NEWER.c.generation > _JOB.c.generation)
        .exists()
    )
    source = plans.outerjoin(_JOB, and_(_JOB.c.plan_id == plans.c.id, _JOB.c.kind == JobKind.PHASE1))
    return source, and_(
        plans.c.status == PlanStatus.APPROVED,
        plans.c.phase1_job_id.is_(None),
        plans.c.approved_at < now_plus(-older_than_seconds),
        or_(_JOB.c.status.is_(None), _JOB.c.status != JobStatus.FAILED),
        ~newer,
    )
