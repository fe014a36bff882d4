"""Dead letters: the archive of what came to no good end, and what people decide about it."""

from __future__ import annotations

import base64
from uuid import UUID, uuid4

from sqlalchemy import Connection, bindparam, insert, select, update

from app.domain.dead_letters import ErrorClass, LetterStatus, error_class_of
from app.domain.errors import PermanentError
from app.domain.jobs import QUEUES, JobKind
from app.storage.clock import now_plus
from app.storage.database import Database
from app.storage.letter_notices import tell_dead_message, tell_failed_job
from app.storage.schema import attempts, dead_letters, jobs


def archive_job(connection: Connection, job_id: UUID, *, reason: str, message: str) -> None:
    """Write the dead letter of a failed job, with all its attempts, in the transaction that fails it."""
    job = connection.execute(select(jobs).where(jobs.c.job_id == job_id)).one()
    history = connection.execute(
        select(attempts).where(attempts.c.job_id == job_id).order_by(attempts.c.attempt_number)
    ).all()
    letter_id = uuid4()
    connection.execute(
        insert(dead_letters).values(
            id=letter_id,
            job_id=job_id,
            plan_id=job.plan_id,
            kind=job.kind,
            queue=QUEUES[JobKind(job.kind)],
            reason=reason,
            error_class=error_class_of(reason),
            error_message=message,
            payload={"v": 1, "jobId": str(job_id), "planId": str(job.plan_id), "kind": job.kind},
            history=[
                {
                    "attempt": attempt.attempt_number,
                    "worker": attempt.worker,
                    "via": attempt.via,
                    "startedAt": attempt.started_at.isoformat(),
                    "endedAt": attempt.ended_at and attempt.ended_at.isoformat(),
                    "outcome": attempt.outcome,
                    "errorCode": attempt.error_code,
                    "errorMessage": attempt.error_message,
                    "retryAt": attempt.retry_at and attempt.retry_at.isoformat(),
                }
                for attempt in history
            ],
            archived_at=now_plus(),
        )
    )
    tell_failed_job(connection, letter_id, job, reason=reason, message=message)


def archive_missing(connection: Connection, job_id: UUID) -> None:
    """Write the dead letter that a failed job should have.

    Raises:
        ConflictError: It has one.
    """
    job = connection.execute(select(jobs.c.error_code, jobs.c.error_message).where(jobs.c.job_id == job_id)).one()
    archive_job(connection, job_id, reason=job.error_code or PermanentError.code, message=job.error_message or "")


def archive_message(
    database: Database, connection: Connection, letter_id: UUID, *, queue: str, reason: str, message: str, body: bytes
) -> None:
    """Write the dead letter of a message that belongs to no job, unless it is there; `body` stood in the queue."""
    connection.execute(
        database.insert(dead_letters)
        .values(
            id=letter_id,
            queue=queue,
            reason=reason,
            error_class=ErrorClass.MESSAGE,
            error_message=message,
            payload={"base64": base64.b64encode(body).decode("ascii")},
            history=[],
            archived_at=now_plus(),
        )
        .on_conflict_do_nothing(index_elements=[dead_letters.c.id])
    )
    tell_dead_message(connection, letter_id, queue=queue, reason=reason, message=message)


def mark_retried(connection: Connection, letter_id: UUID, *, before: LetterStatus, as_job: UUID, actor: str) -> bool:
    """Note that this job follows a letter; False when the letter is not `before` any more."""
    return _resolve(connection, letter_id, before, LetterStatus.RETRIED, actor, as_job=as_job)


def mark_discarded(connection: Connection, letter_id: UUID, *, actor: str, reason: str) -> bool:
    """Note that nothing follows a letter that waits; False when it does not wait."""
    return _resolve(connection, letter_id, LetterStatus.WAITING, LetterStatus.DISCARDED, actor, reason=reason)


def _resolve(
    connection: Connection,
    letter_id: UUID,
    before: LetterStatus,
    after: LetterStatus,
    actor: str,
    *,
    as_job: UUID | None = None,
    reason: str | None = None,
) -> bool:
    return (
        connection.execute(
            _RESOLVE,
            {
                "the_letter": letter_id,
                "before": before,
                "status": after,
                "retried_as": as_job,
                "resolved_by": actor,
                "resolution_reason": reason,
            },
        ).rowcount
        == 1
    )


# A bulk retry runs this for each letter: building a statement takes longer than SQLite takes to run it.
_RESOLVE = (
    update(dead_letters)
    .where(dead_letters.c.id == bindparam("the_letter"), dead_letters.c.status == bindparam("before"))
    .values(
        status=bindparam("status"),
        retried_as=bindparam("retried_as"),
        resolved_at=now_plus(),
        resolved_by=bindparam("resolved_by"),
        resolution_reason=bindparam("resolution_reason"),
    )
)
