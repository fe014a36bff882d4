"""The archive of the queues: every open job with its whole history, one JSON document a line.

The ids are read first and the jobs page by page, so that a slow reader holds no transaction open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response

from app.api.jobs import Attempt, Job
from app.api.mode import ModeAnswer
from app.api.operation import operation
from app.api.queues import QueueAnswer
from app.api.shapes import Answer, Question, Span, UtcTime
from app.api.wiring import runtime
from app.domain.jobs import QUEUES, JobKind
from app.domain.roles import Role
from app.storage.clock import database_now
from app.storage.database import Database
from app.storage.queues import jobs_to_archive, jobs_with_attempts

archive = APIBlueprint("archive", __name__, url_prefix="/api/marketplace/queue/archive")

MEDIA_TYPE = "application/x-ndjson"

#: Jobs that are read at a time.
_PAGE = 500


class ArchiveQuestion(Question):
    """What beside the open jobs: with `failedSince`, such as `24h`, the jobs that failed within this span."""

    failed_since: Span | None = None


class ArchiveHead(Answer):
    """The first line: when the archive was taken, how the switches stood, and how many jobs follow."""

    type: Literal["archive"] = "archive"
    taken_at: UtcTime
    failed_within_seconds: int | None
    mode: ModeAnswer
    queues: list[QueueAnswer]
    job_count: int


class ArchivedJob(Job):
    """One line for each job, as it was when the line was written; `ageSeconds` since it was created."""

    type: Literal["job"] = "job"
    queue: str
    age_seconds: float
    error_count: int
    crash_count: int
    dispatch_count: int
    next_dispatch_at: UtcTime
    lease_owner: str | None
    lease_until_at: UtcTime | None


class ArchiveEnd(Answer):
    """The last line: an archive without it is not complete."""

    type: Literal["end"] = "end"
    job_count: int


@operation(archive, "GET", "", access=Role.VIEWER, query=ArchiveQuestion, answers={200: (MEDIA_TYPE,)})
def archive_queues(query: ArchiveQuestion) -> Response:
    """Tell every open job of all queues with its attempts, as JSON documents, one a line.

    The first line (`type` is `archive`) tells the switches and how many jobs follow, the last one (`end`) how many did:
    an answer without it was cut off. To keep the picture still, pause the queues first.
    """
    parts = runtime()
    mode, queues = parts.controls.mode(), parts.controls.queues()
    with parts.database.read() as connection:
        taken_at = database_now(connection)
        job_ids = jobs_to_archive(connection, failed_within_seconds=query.failed_since)
    head = ArchiveHead(
        taken_at=taken_at,
        failed_within_seconds=query.failed_since,
        mode=ModeAnswer.of(mode),
        queues=[QueueAnswer.of(queue) for queue in queues],
        job_count=len(job_ids),
    )
    return Response(_lines(parts.database, head, job_ids, taken_at), mimetype=MEDIA_TYPE)


def _lines(database: Database, head: ArchiveHead, job_ids: Sequence[UUID], taken_at: datetime) -> Iterator[str]:
    """Yield the archive. An error in the middle ends the answer without its last line, and breaks the connection."""
    yield _line(head)
    count = 0
    for start in range(0, len(job_ids), _PAGE):
        with database.read() as connection:
            page = jobs_with_attempts(connection, job_ids[start : start + _PAGE])
        for row, attempts in page:
            yield _line(
                ArchivedJob.of(
                    row,
                    attempts=[Attempt.of(attempt) for attempt in attempts],
                    queue=QUEUES[JobKind(row.kind)],
                    age_seconds=(taken_at - row.created_at).total_seconds(),
                    error_count=row.error_count,
                    crash_count=row.crash_count,
                    dispatch_count=row.dispatch_count,
                    next_dispatch_at=row.next_dispatch_at,
                    lease_owner=row.lease_owner,
                    lease_until_at=row.lease_until_at,
                )
            )
            count += 1
    yield _line(ArchiveEnd(job_count=count))


def _line(document: Answer) -> str:
    return document.model_dump_json(by_alias=True) + "\n"
