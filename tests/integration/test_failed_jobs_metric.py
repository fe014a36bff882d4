"""Jobs that failed for good, as metrics tell them: by kind, class of the last error, and size of the plan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import update

from app.domain.errors import BadAnswerError, NetworkError
from app.domain.jobs import JobStatus
from app.reaping import reap_dead, reap_expired
from app.settings import JobSettings
from app.storage.clock import now_plus
from app.storage.schema import jobs
from app.storage.transitions import claim
from tests.pipeline import APPROVER, PLAN, Pipeline, raising
from worker.abandonment import abandon_overdue

DEAD = "worker@host:1:dead"


def failed(pipeline: Pipeline) -> dict[tuple[str, str, str], float]:
    """Return every count above 0 by kind, class and size."""
    return {
        (sample.labels["kind"], sample.labels["error_class"], sample.labels["plan_size"]): sample.value
        for family in pipeline.metrics.registry.collect()
        for sample in family.samples
        if sample.name == "marketplace_jobs_failed_total" and sample.value
    }


def approved(pipeline: Pipeline, opportunities: int) -> UUID:
    """Return the job of a plan with so many opportunities."""
    found = [{"title": f"Idea {number}"} for number in range(opportunities)]
    return pipeline.approved({**PLAN, "opportunities": found})


def held_by_the_dead(pipeline: Pipeline, opportunities: int) -> UUID:
    """Return a job that may not crash once more, and whose process is dead."""
    job_id = approved(pipeline, opportunities)
    with pipeline.database.write() as connection:
        assert claim(connection, job_id, owner=DEAD, lease_seconds=60) is not None
        connection.execute(update(jobs).values(crash_count=3))
    return job_id


@pytest.mark.parametrize(
    ("opportunities", "size"), [(0, "none"), (1, "1-10"), (11, "11-50"), (100, "51-100"), (101, "over_100")]
)
def test_a_permanent_error_is_counted_with_the_size_of_the_plan(
    pipeline: Pipeline, opportunities: int, size: str
) -> None:
    executor = pipeline.another_executor("worker-1")
    executor._bodies = dict.fromkeys(executor._bodies, raising(BadAnswerError("no JSON")))
    executor.run(approved(pipeline, opportunities))
    assert failed(pipeline) == {("phase1", "permanent", size): 1}


def test_retries_are_no_failures_until_none_is_left(pipeline: Pipeline) -> None:
    pipeline.settings = JobSettings(retry_delays_seconds=(0.0,))
    executor = pipeline.another_executor("worker-1")
    executor._bodies = dict.fromkeys(executor._bodies, raising(*[NetworkError("reset")] * 4))
    job_id = approved(pipeline, 2)
    for _ in range(3):
        executor.run(job_id)
    assert failed(pipeline) == {}
    executor.run(job_id)
    assert failed(pipeline) == {("phase1", "recoverable", "1-10"): 1}


def test_an_analysis_has_no_size_yet(pipeline: Pipeline) -> None:
    executor = pipeline.another_executor("worker-1")
    executor._bodies = dict.fromkeys(executor._bodies, raising(BadAnswerError("no JSON")))
    requested = pipeline.analyses.request(
        title=None, channels=["amazon"], context=None, origin="analysis", by=APPROVER, request_id=None
    )
    executor.run(requested.job_id)
    assert failed(pipeline) == {("analysis", "permanent", "none"): 1}


def dead(pipeline: Pipeline, directory: Path) -> None:
    (directory / f"{DEAD}.lock").touch()
    reap_dead(pipeline.database, pipeline.metrics, directory, crash_limit=3)


def expired(pipeline: Pipeline, _directory: Path) -> None:
    with pipeline.database.write() as connection:
        connection.execute(update(jobs).values(lease_until_at=now_plus(-1)))
    reap_expired(pipeline.database, pipeline.metrics, crash_limit=3)


@pytest.mark.parametrize("reap", [dead, expired])
def test_a_job_that_takes_its_processes_with_it_is_counted_as_a_crash(
    pipeline: Pipeline, tmp_path: Path, reap: Callable[[Pipeline, Path], None]
) -> None:
    directory = tmp_path / "processes"
    directory.mkdir()
    job_id = held_by_the_dead(pipeline, 51)
    reap(pipeline, directory)
    assert pipeline.job(job_id).status == JobStatus.FAILED
    assert failed(pipeline) == {("phase1", "crash", "51-100"): 1}


def test_a_job_that_no_worker_took_is_counted(pipeline: Pipeline) -> None:
    approved(pipeline, 1)
    with pipeline.database.write() as connection:
        day = pipeline.settings.abandon_after_seconds
        connection.execute(update(jobs).values(available_at=now_plus(-day - 1), deadline_at=now_plus(-1)))
    assert abandon_overdue(pipeline.database, pipeline.settings, pipeline.metrics) == 1
    assert failed(pipeline) == {("phase1", "recoverable", "1-10"): 1}
