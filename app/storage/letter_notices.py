"""What the relay is told of dead letters: that there is another one, and that none of its sort waits any more."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, select, text

from app.domain.alerts import DEAD_LETTERS_GROWING
from app.domain.dead_letters import ErrorClass, error_class_of
from app.domain.jobs import JobKind
from app.storage.database import notices_of
from app.storage.notices import is_told_firing, notice_id, tell_firing, tell_resolved
from app.storage.schema import dead_letters, jobs

_NAMES = {JobKind.PHASE1: "The Phase 1 job", JobKind.ANALYSIS: "The analysis"}


def tell_failed_job(connection: Connection, letter_id: UUID, job: Row[Any], *, reason: str, message: str) -> None:
    """Tell of the letter of a job that failed for good, in the transaction that archives it."""
    tried = {0: "It was never started", 1: "It was tried once"}.get(
        job.attempt_number, f"It was tried {job.attempt_number} times"
    )
    tell_firing(
        connection,
        notice_id(letter_id),
        DEAD_LETTERS_GROWING,
        _subject(job.kind, error_class_of(reason)),
        summary=f"{_NAMES[JobKind(job.kind)]} of a plan failed for good",
        plan_id=job.plan_id,
        job_id=job.job_id,
        error_code=reason,
        error=message,
        action=f"{tried}, and is kept as a dead letter: `marketplace dead-letters retry {job.job_id}` runs it again.",
    )


def tell_dead_message(connection: Connection, letter_id: UUID, *, queue: str, reason: str, message: str) -> None:
    """Tell of the letter of a message that belongs to no job, in the transaction that archives it."""
    tell_firing(
        connection,
        notice_id(letter_id),
        DEAD_LETTERS_GROWING,
        _subject(None, ErrorClass.MESSAGE),
        summary=f"A message in the queue {queue} led to no job",
        error_code=reason,
        error=message,
        action=f"It is kept as a dead letter: `marketplace dead-letters show {letter_id}` shows it.",
    )


def tell_retried_job_completed(connection: Connection, job_id: UUID, failed_job_id: UUID) -> None:
    """Tell that the letters which led to this job are done with, in the transaction that completes it."""
    followed: UUID | None = failed_job_id if notices_of(connection) else None
    while followed is not None:
        letter = connection.execute(_FOLLOWED, {"the_job": followed}).one_or_none()
        if letter is None:
            return
        tell_letters_handled(connection, letter.kind, letter.error_class, plan_id=letter.plan_id, job_id=job_id)
        # Each job of a chain of retries may have failed in its own way.
        followed = letter.retry_of


def tell_letters_handled(
    connection: Connection,
    kind: str | None,
    error_class: str,
    *,
    plan_id: UUID | None = None,
    job_id: UUID | None = None,
) -> None:
    """Tell that no letter of this sort waits for a person, if that is so."""
    subject = _subject(kind, error_class)
    if not is_told_firing(connection, DEAD_LETTERS_GROWING, subject):
        return
    if connection.scalar(_WAITING[kind is None], {"the_class": error_class, "the_kind": kind}) is not None:
        return
    tell_resolved(
        connection,
        DEAD_LETTERS_GROWING,
        subject,
        summary="The job completed when it was run again" if job_id else "Every dead letter is dealt with",
        plan_id=plan_id,
        job_id=job_id,
    )


def _subject(kind: str | None, error_class: str) -> dict[str, str]:
    return {"kind": str(kind or "none"), "error_class": str(error_class)}


_FOLLOWED = (
    select(dead_letters.c.kind, dead_letters.c.error_class, dead_letters.c.plan_id, jobs.c.retry_of)
    .join(jobs, jobs.c.job_id == dead_letters.c.job_id)
    .where(dead_letters.c.job_id == bindparam("the_job"))
)

# A literal, for a partial index serves no parameter.
_WAITS = (
    select(dead_letters.c.id)
    .where(text("status = 'waiting'"), dead_letters.c.error_class == bindparam("the_class"))
    .limit(1)
)
_WAITING = {
    True: _WAITS.where(dead_letters.c.kind.is_(None)),
    False: _WAITS.where(dead_letters.c.kind == bindparam("the_kind")),
}
