"""Plans and their tasks: writes of the approval flow and what the API reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, insert, select, update

from app.domain.jobs import PlanStatus
from app.domain.tasks import PHASE, Task, TaskSource, task_id
from app.storage.clock import now_plus
from app.storage.database import Database
from app.storage.schema import plans, tasks


def insert_plan(
    connection: Connection,
    *,
    title: str,
    status: PlanStatus,
    origin: str,
    channels: Sequence[str],
    created_by: str,
    context: str | None = None,
    plan_data: Mapping[str, object] | None = None,
    notes: Sequence[str] = (),
) -> UUID:
    """Insert a plan and return its id. `origin` is `analysis`, `upload` or `import`."""
    plan_id = uuid4()
    connection.execute(
        insert(plans).values(
            id=plan_id,
            title=title,
            status=status,
            origin=origin,
            channels=list(channels),
            context=context,
            plan_data=None if plan_data is None else dict(plan_data),
            notes=list(notes),
            created_at=now_plus(),
            created_by=created_by,
        )
    )
    return plan_id


def approve_plan(connection: Connection, plan_id: UUID, *, actor: str) -> bool:
    """Move a plan from awaiting approval to approved (T1); False when it is not awaiting it."""
    return (
        connection.execute(
            update(plans)
            .where(plans.c.id == plan_id, plans.c.status == PlanStatus.AWAITING_APPROVAL)
            .values(status=PlanStatus.APPROVED, approved_at=now_plus(), approved_by=actor)
        ).rowcount
        == 1
    )


def reject_plan(connection: Connection, plan_id: UUID, *, actor: str, reason: str) -> bool:
    """Move a plan from awaiting approval to rejected; False when it is not awaiting it."""
    return (
        connection.execute(
            update(plans)
            .where(plans.c.id == plan_id, plans.c.status == PlanStatus.AWAITING_APPROVAL)
            .values(status=PlanStatus.REJECTED, rejected_at=now_plus(), rejected_by=actor, rejection_reason=reason)
        ).rowcount
        == 1
    )


def set_latch(connection: Connection, plan_id: UUID, job_id: UUID) -> bool:
    """Make this job the one whose tasks count (T4); False when another job already is."""
    return (
        connection.execute(
            update(plans).where(plans.c.id == plan_id, plans.c.phase1_job_id.is_(None)).values(phase1_job_id=job_id)
        ).rowcount
        == 1
    )


def finish_analysis(
    connection: Connection, plan_id: UUID, *, plan_data: Mapping[str, object], notes: Sequence[str]
) -> None:
    """Store the outcome of an analysis: the plan awaits approval."""
    connection.execute(
        update(plans)
        .where(plans.c.id == plan_id, plans.c.status.in_([PlanStatus.ANALYZING, PlanStatus.ANALYSIS_FAILED]))
        .values(status=PlanStatus.AWAITING_APPROVAL, plan_data=dict(plan_data), notes=list(notes))
    )


def fail_analysis(connection: Connection, plan_id: UUID) -> None:
    """Note that the analysis of a plan failed for good."""
    connection.execute(
        update(plans)
        .where(plans.c.id == plan_id, plans.c.status == PlanStatus.ANALYZING)
        .values(status=PlanStatus.ANALYSIS_FAILED)
    )


def reopen_analysis(connection: Connection, plan_id: UUID) -> bool:
    """Put a plan whose analysis failed back to analyzing: another job follows; False when it has moved on."""
    return (
        connection.execute(
            update(plans)
            .where(plans.c.id == plan_id, plans.c.status == PlanStatus.ANALYSIS_FAILED)
            .values(status=PlanStatus.ANALYZING)
        ).rowcount
        == 1
    )


def insert_tasks(
    database: Database,
    connection: Connection,
    new_tasks: Sequence[Task],
    *,
    plan_id: UUID,
    job_id: UUID,
    fence: int,
    source: TaskSource,
) -> None:
    """Insert the tasks of a plan; a task that is there already stays as it is."""
    if not new_tasks:
        return
    connection.execute(
        database.insert(tasks).values(created_at=now_plus()).on_conflict_do_nothing(),
        [
            {
                "id": task_id(plan_id, task.item_key),
                "plan_id": plan_id,
                "phase": PHASE,
                "item_key": task.item_key,
                "position": position,
                "title": task.title,
                "description": task.description,
                "channel": task.channel,
                "priority": task.priority,
                "source": source,
                "needs_review": task.needs_review,
                "job_id": job_id,
                "fence": fence,
            }
            for position, task in enumerate(new_tasks)
        ],
    )


def plan_by_id(connection: Connection, plan_id: UUID) -> Row[Any] | None:
    """Return the whole row of a plan."""
    return connection.execute(select(plans).where(plans.c.id == plan_id)).one_or_none()


def plans_by_ids(connection: Connection, plan_ids: Sequence[UUID]) -> Sequence[Row[Any]]:
    """Return the rows of those plans that exist, in no order."""
    return connection.execute(select(plans).where(plans.c.id.in_(plan_ids))).all()
