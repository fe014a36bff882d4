"""Tasks: what an approved plan has become."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Self
from uuid import UUID

from apiflask import APIBlueprint
from sqlalchemy import Row

from app.api.operation import operation
from app.api.shapes import Answer, Id, PageQuestion, UtcTime
from app.api.wiring import runtime
from app.domain.errors import NotFoundError
from app.domain.plan import Priority
from app.domain.roles import Role
from app.domain.tasks import TaskSource
from app.storage.plan_reads import plan_exists, tasks_page

tasks = APIBlueprint("tasks", __name__, url_prefix="/api/marketplace/tasks")


class Task(Answer):
    """One task; its texts come from people, agents and files: show them as text."""

    task_id: UUID
    plan_id: UUID
    job_id: UUID
    phase: int
    title: str
    description: str
    channel: str | None
    priority: Priority
    source: TaskSource
    needs_review: bool
    created_at: UtcTime

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """Return the answer for a row of the tasks table."""
        return cls(
            task_id=row.id,
            plan_id=row.plan_id,
            job_id=row.job_id,
            phase=row.phase,
            title=row.title,
            description=row.description,
            channel=row.channel,
            priority=row.priority,
            source=row.source,
            needs_review=row.needs_review,
            created_at=row.created_at,
        )


class TaskList(Answer):
    """One page of tasks."""

    items: list[Task]
    next_cursor: str | None


class TasksQuestion(PageQuestion):
    """Whose tasks are wanted."""

    plan_id: Id


@operation(
    tasks,
    "GET",
    "",
    access=Role.VIEWER,
    query=TasksQuestion,
    answers={200: TaskList},
    own_problems=(HTTPStatus.NOT_FOUND,),
)
def list_tasks(query: TasksQuestion) -> TaskList:
    """List the tasks of a plan, in their order."""
    page = query.page()
    with runtime().database.read() as connection:
        if not plan_exists(connection, query.plan_id):
            raise NotFoundError("there is no such plan")
        found = tasks_page(connection, query.plan_id, page)
    return TaskList(items=[Task.of(row) for row in found.rows], next_cursor=found.next_cursor)
