"""Jobs: what polling clients and operators read."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any, Self
from uuid import UUID

from apiflask import APIBlueprint
from pydantic import Field
from sqlalchemy import Row

from app.api.operation import operation
from app.api.shapes import Answer, JsonObject, PageQuestion, UtcTime
from app.api.wiring import runtime
from app.domain.dead_letters import ErrorClass, error_class_of
from app.domain.errors import NotFoundError
from app.domain.job_query import parse_job_query
from app.domain.jobs import AttemptOutcome, JobKind, JobStatus, RunVia
from app.domain.roles import Role
from app.storage.job_reads import jobs_page
from app.storage.jobs import attempts_of, job_by_id

jobs = APIBlueprint("jobs", __name__, url_prefix="/api/marketplace/jobs")


class JobError(Answer):
    """Why a job or an attempt did not succeed: a stable code, its class, and text for people."""

    code: str
    error_class: ErrorClass
    message: str

    @classmethod
    def of(cls, code: str | None, message: str | None) -> JobError | None:
        """Return the answer for what stands in a row, None when nothing does."""
        return None if code is None else cls(code=code, error_class=error_class_of(code), message=message or "")


class JobSummary(Answer):
    """A job without its attempts; `progress` in percent, `nextAttemptAt` only while it waits."""

    job_id: UUID
    plan_id: UUID
    kind: JobKind
    status: JobStatus
    progress: Annotated[int, Field(ge=0, le=100)]
    attempt_count: int
    result: JsonObject | None
    error: JobError | None
    timeout_seconds: float
    timeout_reason: JsonObject
    route: str
    generation: int
    retry_of: UUID | None
    created_at: UtcTime
    started_at: UtcTime | None
    completed_at: UtcTime | None
    deadline_at: UtcTime
    next_attempt_at: UtcTime | None

    @classmethod
    def of(cls, row: Row[Any], **details: Any) -> Self:
        """Return the answer for a row of the jobs table."""
        return cls(
            job_id=row.job_id,
            plan_id=row.plan_id,
            kind=row.kind,
            status=row.status,
            progress=row.progress,
            attempt_count=row.attempt_number,
            result=row.result,
            error=_error(row),
            timeout_seconds=row.timeout_seconds,
            timeout_reason=row.timeout_reason,
            route=row.route,
            generation=row.generation,
            retry_of=row.retry_of,
            created_at=row.created_at,
            started_at=row.started_at,
            completed_at=row.completed_at,
            deadline_at=row.deadline_at,
            next_attempt_at=row.available_at if row.status == JobStatus.PENDING else None,
            **details,
        )


class Attempt(Answer):
    """One run of a job; `retryAt` when another follows it.

    `via` is `queue` for a worker, `sync` for a run in place at the approval, `fallback` for the scheduler.
    """

    attempt: int
    worker: str
    via: RunVia
    outcome: AttemptOutcome
    error: JobError | None
    started_at: UtcTime
    ended_at: UtcTime | None
    retry_at: UtcTime | None

    @classmethod
    def of(cls, row: Row[Any]) -> Attempt:
        """Return the answer for a row of the attempts table."""
        return cls(
            attempt=row.attempt_number,
            worker=row.worker,
            via=row.via,
            outcome=row.outcome,
            error=_error(row),
            started_at=row.started_at,
            ended_at=row.ended_at,
            retry_at=row.retry_at,
        )


class Job(JobSummary):
    """A job with its attempts, first to last."""

    attempts: list[Attempt]


class JobList(Answer):
    """One page of jobs."""

    items: list[JobSummary]
    next_cursor: str | None


class JobsQuestion(PageQuestion):
    """Which jobs are wanted: `q` holds conditions such as `status:failed kind:phase1 agent:shein since:1h`."""

    q: Annotated[str, Field(max_length=500)] = ""


@operation(jobs, "GET", "", access=Role.VIEWER, query=JobsQuestion, answers={200: JobList})
def list_jobs(query: JobsQuestion) -> JobList:
    """List or search jobs, newest first."""
    page, wanted = query.page(), parse_job_query(query.q)
    # An agent is searched for by its name or by its channel; plans know channels only.
    channels = {agent.name: agent.channel for agent in runtime().agents}
    wanted = replace(wanted, agent=channels.get(wanted.agent or "", wanted.agent))
    database = runtime().database
    with database.read() as connection:
        found = jobs_page(database, connection, page, wanted)
    return JobList(items=[JobSummary.of(row) for row in found.rows], next_cursor=found.next_cursor)


@operation(jobs, "GET", "/<job_id>", access=Role.VIEWER, answers={200: Job}, own_problems=(HTTPStatus.NOT_FOUND,))
def show_job(job_id: UUID) -> Job:
    """Show a job with its attempts; poll this until `status` is `completed` or `failed`."""
    with runtime().database.read() as connection:
        row = job_by_id(connection, job_id)
        attempts = attempts_of(connection, job_id)
    if row is None:
        raise NotFoundError("there is no such job")
    return Job.of(row, attempts=[Attempt.of(attempt) for attempt in attempts])


def _error(row: Row[Any]) -> JobError | None:
    return JobError.of(row.error_code, row.error_message)
