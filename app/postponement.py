"""Jobs that are put off because an agent is busy, so that no thread waits for it (docs/decisions/bulkhead.md)."""

from __future__ import annotations

from sqlalchemy import Connection

from app.domain.errors import AgentBusyError
from app.domain.jobs import EventType, JobStatus
from app.job_events import record_job_event
from app.storage import transitions
from app.storage.database import Database
from app.storage.transitions import Claim


def postpone(
    database: Database, connection: Connection, claim: Claim, error: AgentBusyError, *, pause_seconds: float
) -> bool:
    """Put a run off, and tell it (T5c); False when the run had lost its lease."""
    moved = transitions.postpone(
        connection, claim.job_id, claim.fence, code=error.code, message=str(error), delay_seconds=pause_seconds
    )
    if moved:
        record_job_event(
            database,
            connection,
            EventType.ENQUEUED,
            job_id=claim.job_id,
            plan_id=claim.plan_id,
            kind=claim.kind,
            status=JobStatus.PENDING,
            fence=claim.fence,
            attempt=claim.attempt_number,
            reason="postponed",
            retryInSeconds=pause_seconds,
            errorCode=error.code,
            error=str(error),
        )
    return moved
