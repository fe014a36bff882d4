"""Dead letters: what came to no good end, and what operators decide about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from itertools import chain
from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response
from sqlalchemy import Row

from app.api.access import caller
from app.api.letter_shapes import (
    BulkRetryRequest,
    DeadLetter,
    DeadLetterList,
    DeadLetterRetried,
    DeadLettersExport,
    DeadLettersQuestion,
    DeadLettersRetried,
    DeadLetterSummary,
    DiscardQuestion,
    RetriedJob,
    job_url,
)
from app.api.observation import request_id
from app.api.operation import operation
from app.api.wiring import runtime
from app.domain.roles import Role

dead_letters = APIBlueprint("dead_letters", __name__, url_prefix="/api/marketplace/dead-letters")

NDJSON = "application/x-ndjson"

#: New jobs that the answer to a bulk retry lists, at most.
_MOST_JOBS = 100


@operation(dead_letters, "GET", "", access=Role.VIEWER, query=DeadLettersQuestion, answers={200: DeadLetterList})
def list_dead_letters(query: DeadLettersQuestion) -> DeadLetterList:
    """List or search dead letters, newest first."""
    page = runtime().dead_letters.page(query.page(), query.wanted(query.status))
    return DeadLetterList(items=[DeadLetterSummary.of(row) for row in page.rows], next_cursor=page.next_cursor)


@operation(dead_letters, "GET", "/export", access=Role.VIEWER, query=DeadLettersExport, answers={200: (NDJSON,)})
def export_dead_letters(query: DeadLettersExport) -> Response:
    """Carry dead letters away, whole, one JSON document a line, newest first.

    An answer that breaks off is not complete.
    """
    pages = runtime().dead_letters.every_page(query.wanted(query.status))
    # The first page is read before the answer begins, so that a database which does not answer is still told.
    first = next(pages)
    return Response(_lines(chain([first], pages)), content_type=NDJSON)


@operation(
    dead_letters,
    "GET",
    "/<job_id>",
    access=Role.VIEWER,
    answers={200: DeadLetter},
    own_problems=(HTTPStatus.NOT_FOUND,),
)
def show_dead_letter(job_id: UUID) -> DeadLetter:
    """Show a dead letter with every attempt, by the id of its job, or its own when it has none."""
    return DeadLetter.whole(runtime().dead_letters.find(job_id))


@operation(
    dead_letters,
    "POST",
    "/<job_id>/retry",
    access=Role.ADMIN,
    answers={202: DeadLetterRetried},
    own_problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
def retry_dead_letter(job_id: UUID) -> DeadLetterRetried:
    """Let a new job follow the one that failed; again answers the same job.

    A letter that was discarded can still be retried. A message cannot, and neither can a letter whose plan has a job
    that waits or runs, or its tasks.
    """
    retried = runtime().dead_letters.retry(job_id, by=caller(), request_id=request_id())
    return DeadLetterRetried(
        status=retried.job_status,
        job_id=retried.job_id,
        retry_of=retried.retry_of,
        poll_url=job_url(retried.job_id),
    )


@operation(dead_letters, "POST", "/retry", access=Role.ADMIN, body=BulkRetryRequest, answers={200: DeadLettersRetried})
def retry_dead_letters(body: BulkRetryRequest) -> DeadLettersRetried:
    """Retry the waiting dead letters that a filter finds, oldest first, or tell with `dryRun` what that would do.

    Two calls at once retry each letter once. `limit` jobs at `ratePerSecond` must not take longer than 60 s.
    """
    done = runtime().dead_letters.retry_many(
        body.filter.wanted(),
        limit=body.limit,
        rate_per_second=body.rate_per_second,
        dry_run=body.dry_run,
        by=caller(),
        request_id=request_id(),
    )
    return DeadLettersRetried(
        dry_run=body.dry_run,
        matched=done.matched,
        retried=done.retried,
        skipped=done.matched - done.retried,
        skipped_causes=dict(done.skipped),
        jobs=[RetriedJob(retry_of=failed, job_id=job_id) for failed, job_id in done.jobs[:_MOST_JOBS]],
    )


@operation(
    dead_letters,
    "DELETE",
    "/<job_id>",
    access=Role.ADMIN,
    query=DiscardQuestion,
    answers={200: DeadLetterSummary},
    own_problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
def discard_dead_letter(job_id: UUID, query: DiscardQuestion) -> DeadLetterSummary:
    """Decide, for a reason, that nothing follows; the archive keeps the letter.

    Again changes nothing, and the first reason stays. A letter that was retried is a conflict.
    """
    return DeadLetterSummary.of(
        runtime().dead_letters.discard(job_id, reason=query.reason, by=caller(), request_id=request_id())
    )


def _lines(pages: Iterator[Sequence[Row[Any]]]) -> Iterator[str]:
    for rows in pages:
        yield "".join(f"{DeadLetter.whole(row).model_dump_json(by_alias=True, ensure_ascii=True)}\n" for row in rows)
