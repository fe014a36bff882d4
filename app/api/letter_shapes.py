"""Shapes of dead letters: which ones are asked for, and how they are shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, StrictBool, StringConstraints
from sqlalchemy import Row

from app.api.jobs import Attempt, JobError
from app.api.shapes import Answer, Id, JsonObject, Line, PageQuestion, Question, Span, UtcTime
from app.api.wiring import runtime
from app.domain.channels import CHANNEL_PATTERN
from app.domain.dead_letters import MOST_RETRIED, ErrorClass, LetterFilter, LetterStatus, SkipCause
from app.domain.jobs import QUEUES, JobKind, JobStatus, RunVia


class DeadLetterConditions(Question):
    """Which dead letters: all conditions hold together; `agent` is an agent's name or a channel's."""

    kind: JobKind | None = None
    reason: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,50}$")] | None = None
    error_class: ErrorClass | None = None
    agent: Annotated[str, StringConstraints(pattern=CHANNEL_PATTERN)] | None = None
    plan_id: Id | None = None
    since: Span | None = None
    text: Line | None = None

    def wanted(self, status: LetterStatus | None = None) -> LetterFilter:
        """Return the same for the archive; plans know channels only, so an agent's name becomes its channel's."""
        channels = {agent.name: agent.channel for agent in runtime().agents}
        return LetterFilter(
            status=status,
            kind=self.kind,
            reason=self.reason,
            error_class=self.error_class,
            channel=None if self.agent is None else channels.get(self.agent, self.agent),
            plan_id=self.plan_id,
            since_seconds=self.since,
            text=self.text,
        )


class DeadLettersExport(DeadLetterConditions):
    """Which dead letters are carried away."""

    status: LetterStatus | None = None


class DeadLettersQuestion(DeadLettersExport, PageQuestion):
    """Which dead letters are listed."""


class RetryConditions(DeadLetterConditions):
    """Which waiting dead letters are retried; messages never are."""

    error_class: Literal[ErrorClass.RECOVERABLE, ErrorClass.PERMANENT, ErrorClass.CRASH] | None = None


class BulkRetryRequest(Question):
    """How many of which dead letters are retried, oldest first, and how many of their jobs become due in a second."""

    filter: RetryConditions
    limit: Annotated[int, Field(strict=True, ge=1, le=MOST_RETRIED)] = 100
    dry_run: StrictBool = False
    rate_per_second: Annotated[float, Field(strict=True, gt=0, le=1000)] | None = None


class DiscardQuestion(Question):
    """Why nothing follows; a parameter, for many clients and proxies drop the body of a DELETE."""

    reason: Line


class DeadLetterSummary(Answer):
    """A dead letter without its attempts.

    `id` is that of its job; a message, which has no job, has one of its own. `reason` is the code of the last error.
    """

    id: UUID
    job_id: UUID | None
    plan_id: UUID | None
    kind: JobKind | None
    queue: str
    status: LetterStatus
    reason: str
    error_class: ErrorClass
    error_message: str | None
    attempt_count: int
    archived_at: UtcTime
    retried_as: UUID | None
    resolved_at: UtcTime | None
    resolved_by: str | None
    resolution_reason: str | None

    @classmethod
    def of(cls, row: Row[Any], **details: Any) -> Self:
        """Return the answer for a row of the table."""
        return cls(
            id=row.job_id or row.id,
            job_id=row.job_id,
            plan_id=row.plan_id,
            kind=row.kind,
            # A process of the version before this one writes letters without a queue.
            queue=row.queue or QUEUES[JobKind(row.kind)],
            status=row.status,
            reason=row.reason,
            error_class=row.error_class,
            error_message=row.error_message,
            attempt_count=len(row.history),
            archived_at=row.archived_at,
            retried_as=row.retried_as,
            resolved_at=row.resolved_at,
            resolved_by=row.resolved_by,
            resolution_reason=row.resolution_reason,
            **details,
        )


class DeadLetter(DeadLetterSummary):
    """A dead letter with every attempt, first to last, and what stood in the queue.

    The payload of a message is `base64`, its bytes. Texts come from agents and other strangers: show them as text.
    """

    attempts: list[Attempt]
    payload: JsonObject
    retry_url: str | None

    @classmethod
    def whole(cls, row: Row[Any]) -> Self:
        """Return the answer for a row of the table."""
        return cls.of(
            row,
            attempts=[_attempt(attempt) for attempt in row.history],
            payload=row.payload,
            retry_url=None if row.retried_as is None else job_url(row.retried_as),
        )


class DeadLetterList(Answer):
    """One page of dead letters."""

    items: list[DeadLetterSummary]
    next_cursor: str | None


class DeadLetterRetried(Answer):
    """The one job that follows the dead letter's, however often that is retried: poll `pollUrl`."""

    status: JobStatus
    job_id: UUID
    retry_of: UUID
    poll_url: str


class RetriedJob(Answer):
    """A job that failed, and the one that follows it."""

    retry_of: UUID
    job_id: UUID


class DeadLettersRetried(Answer):
    """What became of the dead letters that were found, or would become of them when this was a dry run.

    `matched` is `retried` and `skipped` together; `jobs` are the first 100 new ones, none in a dry run.
    """

    dry_run: bool
    matched: int
    retried: int
    skipped: int
    skipped_causes: dict[SkipCause, int]
    jobs: list[RetriedJob]


def job_url(job_id: UUID) -> str:
    """Return where a job is shown."""
    return f"/api/marketplace/jobs/{job_id}"


def _attempt(stored: dict[str, Any]) -> Attempt:
    code = stored["errorCode"]
    return Attempt(
        attempt=stored["attempt"],
        worker=stored["worker"],
        via=stored.get("via", RunVia.QUEUE),
        outcome=stored["outcome"],
        error=JobError.of(code, stored["errorMessage"]),
        started_at=datetime.fromisoformat(stored["startedAt"]),
        ended_at=_time(stored["endedAt"]),
        retry_at=_time(stored.get("retryAt")),
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
