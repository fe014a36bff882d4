"""Plans: what the agents' analyses have become."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Self
from uuid import UUID

from apiflask import APIBlueprint
from sqlalchemy import Row

from app.api.jobs import JobSummary
from app.api.operation import operation
from app.api.shapes import Answer, JsonObject, PageQuestion, UtcTime
from app.api.tasks import Task
from app.api.wiring import runtime
from app.domain.errors import NotFoundError
from app.domain.jobs import PlanStatus
from app.domain.roles import Role
from app.storage.job_reads import jobs_of
from app.storage.plan_reads import plans_page, tasks_of
from app.storage.plans import plan_by_id

plans = APIBlueprint("plans", __name__, url_prefix="/api/marketplace/analysis")


class PlanSummary(Answer):
    """A plan without its content; `phase1JobId` is the job whose tasks count, once there are any."""

    plan_id: UUID
    title: str
    status: PlanStatus
    origin: str
    channels: list[str]
    created_at: UtcTime
    created_by: str
    approved_at: UtcTime | None
    approved_by: str | None
    rejected_at: UtcTime | None
    rejected_by: str | None
    rejection_reason: str | None
    phase1_job_id: UUID | None

    @classmethod
    def of(cls, row: Row[Any], **details: Any) -> Self:
        """Return the answer for a row of the plans table."""
        return cls(
            plan_id=row.id,
            title=row.title,
            status=row.status,
            origin=row.origin,
            channels=row.channels,
            created_at=row.created_at,
            created_by=row.created_by,
            approved_at=row.approved_at,
            approved_by=row.approved_by,
            rejected_at=row.rejected_at,
            rejected_by=row.rejected_by,
            rejection_reason=row.rejection_reason,
            phase1_job_id=row.phase1_job_id,
            **details,
        )


class Plan(PlanSummary):
    """A plan with its content, jobs and tasks; `notes` tell what was mended on reading it.

    Its texts come from people, agents and files: show them as text.
    """

    context: str | None
    plan_data: JsonObject | None
    notes: list[str]
    jobs: list[JobSummary]
    tasks: list[Task]


class PlanList(Answer):
    """One page of plans."""

    items: list[PlanSummary]
    next_cursor: str | None


class PlansQuestion(PageQuestion):
    """Which plans are wanted."""

    status: PlanStatus | None = None


@operation(plans, "GET", "", access=Role.VIEWER, query=PlansQuestion, answers={200: PlanList})
def list_plans(query: PlansQuestion) -> PlanList:
    """List plans, newest first."""
    page = query.page()
    with runtime().database.read() as connection:
        found = plans_page(connection, page, status=query.status)
    return PlanList(items=[PlanSummary.of(row) for row in found.rows], next_cursor=found.next_cursor)


@operation(plans, "GET", "/<plan_id>", access=Role.VIEWER, answers={200: Plan}, own_problems=(HTTPStatus.NOT_FOUND,))
def show_plan(plan_id: UUID) -> Plan:
    """Show a plan with its jobs and tasks."""
    with runtime().database.read() as connection:
        row = plan_by_id(connection, plan_id)
        jobs, tasks = jobs_of(connection, plan_id), tasks_of(connection, plan_id)
    if row is None:
        raise NotFoundError("there is no such plan")
    return Plan.of(
        row,
        context=row.context,
        plan_data=row.plan_data,
        notes=row.notes,
        jobs=[JobSummary.of(job) for job in jobs],
        tasks=[Task.of(task) for task in tasks],
    )
