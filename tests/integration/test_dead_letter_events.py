"""What the event of a failure tells of the dead letter that was written with it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from app.domain.errors import BadAnswerError, NetworkError
from app.domain.jobs import JobKind, JobStatus
from app.settings import JobSettings
from app.storage.clock import now_plus
from app.storage.database import Database
from app.storage.schema import events, jobs
from tests.pipeline import Pipeline, raising


def failure(pipeline: Pipeline, job_id: UUID) -> dict[str, Any]:
    """Return what the event of a failure tells of the dead letter."""
    with pipeline.database.read() as connection:
        data = connection.scalars(
            select(events.c.data).where(events.c.job_id == job_id, events.c.type == "job:failed")
        ).one()
    told: dict[str, Any] = data["deadLetter"]
    return told


def test_the_event_of_a_failure_tells_of_the_dead_letter(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    pipeline.bodies[JobKind.PHASE1] = raising(NetworkError("reset"), BadAnswerError("no JSON"))
    for _ in range(2):
        pipeline.executor.run(job_id)
    assert failure(pipeline, job_id) == {
        "id": str(job_id),
        "reason": "bad_answer",
        "errorClass": "permanent",
        "attempts": 2,
    }


def test_the_event_of_too_many_crashes_tells_of_the_dead_letter(database: Database, redis_url: str) -> None:
    pipeline = Pipeline(database, redis_url, JobSettings(crash_limit=0))
    job_id = pipeline.approved()
    with database.write() as connection:
        connection.execute(
            update(jobs).values(status=JobStatus.ACTIVE, lease_owner="worker-1", lease_until_at=now_plus(-1))
        )
    pipeline.sweeper.reap()
    told = failure(pipeline, job_id)
    pipeline.close()
    assert (told["reason"], told["errorClass"]) == ("crash_limit", "crash")
