"""What happened to a job, as an event in the outbox; and the birth of a job, which is its first event."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection

from app.domain.jobs import QUEUES, EventType, JobKind, JobStatus
from app.live_metrics import LiveMetrics
from app.metrics import DEPTH_AT_ENQUEUE, JOBS_ENQUEUED
from app.settings import JobSettings
from app.storage.database import Database
from app.storage.letter_reads import letter_by_id
from app.storage.outbox import record_event
from app.storage.transitions import insert_job
from app.storage.waiting_jobs import count_waiting


def record_job_event(
    database: Database,
    connection: Connection,
    event_type: EventType,
    *,
    job_id: UUID,
    plan_id: UUID,
    kind: JobKind,
    status: JobStatus,
    fence: int,
    attempt: int,
    **details: object,
) -> None:
    """Write the event of one transition, in the transaction that makes it; `details` are camelCase JSON values.

    The event of a failure tells of the dead letter, which the same transaction has archived.
    """
    if event_type is EventType.FAILED:
        details["deadLetter"] = _dead_letter(connection, job_id)
    record_event(
        database,
        connection,
        event_type,
        job_id=job_id,
        plan_id=plan_id,
        fence=fence,
        data={
            "jobId": str(job_id),
            "planId": str(plan_id),
            "kind": kind,
            "status": status,
            "attempt": attempt,
            **details,
        },
    )


def insert_announced_job(
    database: Database,
    connection: Connection,
    settings: JobSettings,
    metrics: LiveMetrics,
    *,
    plan_id: UUID,
    kind: JobKind,
    request_id: str | None,
    generation: int = 1,
    retry_of: UUID | None = None,
    job_id: UUID | None = None,
    due_in_seconds: float | None = None,
) -> UUID:
    """Insert a pending job and its `job:enqueued` event (T1), in the caller's transaction; return the job's id.

    Its caller sends the first hint after the commit, unless it gives `due_in_seconds`: then the sweeper sends it when
    the job is due. Once it has committed, the job is counted, with how many waited before it.

    Raises:
        ConflictError: The plan has an open job of this kind, or this generation exists.
    """
    depth = count_waiting(connection, kind)
    job_id = insert_job(
        connection,
        plan_id=plan_id,
        kind=kind,
        total_seconds=settings.total_seconds(kind),
        grace_seconds=settings.grace_seconds if due_in_seconds is None else 0.0,
        timeout_seconds=settings.attempt_seconds(kind),
        generation=generation,
        retry_of=retry_of,
        request_id=request_id,
        job_id=job_id,
        delay_seconds=due_in_seconds or 0.0,
    )
    record_job_event(
        database,
        connection,
        EventType.ENQUEUED,
        job_id=job_id,
        plan_id=plan_id,
        kind=kind,
        status=JobStatus.PENDING,
        fence=0,
        attempt=0,
        **({} if retry_of is None else {"retryOf": str(retry_of)}),
    )
    database.after_commit(connection, lambda: _count(metrics, kind, depth))
    return job_id


def _count(metrics: LiveMetrics, kind: JobKind, depth: int) -> None:
    metrics.count(JOBS_ENQUEUED, kind=kind)
    metrics.observe(DEPTH_AT_ENQUEUE, depth, queue=QUEUES[kind])


def _dead_letter(connection: Connection, job_id: UUID) -> dict[str, object]:
    letter = letter_by_id(connection, job_id)
    assert letter is not None  # noqa: S101 -- no job fails without one
    return {
        "id": str(job_id),
        "reason": letter.reason,
        "errorClass": letter.error_class,
        "attempts": len(letter.history),
    }
