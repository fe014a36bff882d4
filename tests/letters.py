"""Dead letters in any number, as jobs that failed leave them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert

from app.domain.dead_letters import error_class_of
from app.domain.jobs import QUEUES, JobKind, JobStatus, PlanStatus
from app.storage.database import Database
from app.storage.dead_letters import archive_message
from app.storage.schema import attempts, dead_letters, jobs, plans
from tests.pipeline import PLAN

_STANDS = {JobKind.PHASE1: PlanStatus.APPROVED, JobKind.ANALYSIS: PlanStatus.ANALYSIS_FAILED}


@dataclass(frozen=True)
class FailedJob:
    """The rows that one job leaves, with every column that has no default in the database."""

    job_id: UUID
    plan: dict[str, Any]
    job: dict[str, Any]
    attempt: dict[str, Any]
    letter: dict[str, Any]


def archive_many(database: Database, count: int, **attributes: Any) -> list[UUID]:
    """Return the ids of jobs that failed, each with its plan and its dead letter, oldest first."""
    failed = [failed_job(milliseconds_later=number, **attributes) for number in range(count)]
    with database.write() as connection:
        for table, rows in (
            (plans, [one.plan for one in failed]),
            (jobs, [one.job for one in failed]),
            (attempts, [one.attempt for one in failed]),
            (dead_letters, [one.letter for one in failed]),
        ):
            connection.execute(insert(table), rows)
    return [one.job_id for one in failed]


def archive_one(database: Database, **attributes: Any) -> UUID:
    """Return the id of one such job."""
    return archive_many(database, 1, **attributes)[0]


def archive_unreadable(database: Database) -> UUID:
    """Return the id of the dead letter of a message."""
    letter_id = uuid4()
    with database.write() as connection:
        archive_message(
            database,
            connection,
            letter_id,
            queue="phase1-tasks",
            reason="unreadable",
            message="no JSON",
            body=b"\xff{",
        )
    return letter_id


def failed_job(
    *,
    kind: JobKind = JobKind.PHASE1,
    reason: str = "timeout",
    message: str = "no answer",
    channels: tuple[str, ...] = ("amazon",),
    age_seconds: float = 60,
    milliseconds_later: int = 0,
) -> FailedJob:
    """Return the rows of a job that failed for good `age_seconds` ago, at its only attempt."""
    plan_id, job_id = uuid4(), uuid4()
    at = datetime.now(UTC) - timedelta(seconds=age_seconds) + timedelta(milliseconds=milliseconds_later)
    error = {"error_code": reason, "error_message": message}
    return FailedJob(
        job_id,
        plan={
            "id": plan_id,
            "title": "Shoes",
            "status": _STANDS[kind],
            "origin": "analysis",
            "channels": list(channels),
            "plan_data": PLAN,
            "notes": [],
            "created_at": at,
            "created_by": "ana",
            "approved_at": at if kind is JobKind.PHASE1 else None,
        },
        job={
            "id": uuid4(),
            "job_id": job_id,
            "plan_id": plan_id,
            "kind": kind,
            "generation": 1,
            "status": JobStatus.FAILED,
            "progress": 0,
            "attempt_number": 1,
            "error_count": 0,
            "crash_count": 0,
            "fence": 1,
            "available_at": at,
            "next_dispatch_at": at,
            "dispatch_count": 1,
            "deadline_at": at,
            "timeout_seconds": 10.0,
            "timeout_reason": {},
            "route": "queue",
            "created_at": at,
            "completed_at": at,
            **error,
        },
        attempt={
            "job_id": job_id,
            "fence": 1,
            "attempt_number": 1,
            "worker": "worker-1",
            "started_at": at,
            "ended_at": at,
            "outcome": "failed",
            **error,
        },
        letter={
            "id": uuid4(),
            "job_id": job_id,
            "plan_id": plan_id,
            "kind": kind,
            "queue": QUEUES[kind],
            "reason": reason,
            "error_class": error_class_of(reason),
            "error_message": message,
            "payload": {"v": 1, "jobId": str(job_id), "planId": str(plan_id), "kind": kind},
            "history": [
                {
                    "attempt": 1,
                    "worker": "worker-1",
                    "startedAt": at.isoformat(),
                    "endedAt": at.isoformat(),
                    "outcome": "failed",
                    "errorCode": reason,
                    "errorMessage": message,
                }
            ],
            "archived_at": at,
        },
    )
