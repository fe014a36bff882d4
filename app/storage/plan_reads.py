"""What the API reads of plans and their tasks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select

from app.domain.jobs import PlanStatus
from app.storage.paging import Page, PageRequest, fetch_page
from app.storage.schema import plans, tasks

#: A plan in a list goes without its content: that can be a megabyte.
_SUMMARY = [column for column in plans.c if column.name not in {"context", "plan_data", "notes"}]


def plans_page(connection: Connection, request: PageRequest, *, status: PlanStatus | None) -> Page:
    """Return plans without their content, newest first."""
    statement = select(*_SUMMARY)
    if status is not None:
        statement = statement.where(plans.c.status == status)
    return fetch_page(connection, statement, request, by=plans.c.created_at, row_id=plans.c.id)


def plan_exists(connection: Connection, plan_id: UUID) -> bool:
    """Tell whether there is such a plan."""
    return connection.scalar(select(plans.c.id).where(plans.c.id == plan_id)) is not None


def count_opportunities(connection: Connection, plan_ids: Collection[UUID]) -> Mapping[UUID, int]:
    """Return how many opportunities each of these plans has; 0 before its analysis."""
    rows = connection.execute(
        select(plans.c.id, plans.c.plan_data["opportunities"].label("found")).where(plans.c.id.in_(plan_ids))
    )
    return {row.id: len(row.found or ()) for row in rows}


def tasks_of(connection: Connection, plan_id: UUID) -> Sequence[Row[Any]]:
    """Return all tasks of a plan, first to last; a plan has at most `MAX_ITEMS`."""
    return connection.execute(
        select(tasks).where(tasks.c.plan_id == plan_id).order_by(tasks.c.position, tasks.c.id)
    ).all()


def tasks_page(connection: Connection, plan_id: UUID, request: PageRequest) -> Page:
    """Return the tasks of a plan, first to last."""
    return fetch_page(
        connection,
        select(tasks).where(tasks.c.plan_id == plan_id),
        request,
        by=tasks.c.position,
        row_id=tasks.c.id,
        order="first_to_last",
    )
