"""Nothing stays pending for ever; and the numbers of jobs add up, whatever becomes of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import update

from app.domain.controls import QueueState, queue_control
from app.domain.errors import BadAnswerError, NetworkError
from app.domain.jobs import JobKind, JobStatus, PlanStatus
from app.job_execution import Finished
from app.job_runs import JobRun
from app.storage.clock import now_plus
from app.storage.controls import set_control
from app.storage.job_reads import count_jobs
from app.storage.schema import controls, jobs
from tests.pipeline import APPROVER, Pipeline, no_work, raising
from worker.sweeper import Sweeper

DAY = 86_400.0


def sweeper_after(pipeline: Pipeline, seconds: float) -> Sweeper:
    """Return a sweeper that has run for so long."""
    readings = iter([time.monotonic() - seconds])
    return Sweeper(
        pipeline.database,
        pipeline.hints,
        pipeline.recovery,
        pipeline.settings,
        pipeline.metrics,
        monotonic=lambda: next(readings, time.monotonic()),
    )


@pytest.fixture
def sweeper(pipeline: Pipeline) -> Sweeper:
    return sweeper_after(pipeline, 7200)


def wait_for(pipeline: Pipeline, seconds: float, *, deadline_seconds: float = -1) -> None:
    """Make every job look as if nobody had taken it for so long."""
    with pipeline.database.write() as connection:
        connection.execute(update(jobs).values(available_at=now_plus(-seconds), deadline_at=now_plus(deadline_seconds)))


def test_a_job_that_no_worker_takes_for_a_day_becomes_a_dead_letter(pipeline: Pipeline, sweeper: Sweeper) -> None:
    job_id = pipeline.approved()
    wait_for(pipeline, DAY + 1)
    sweeper.reconcile()
    letter = pipeline.dead_letter(job_id)
    assert letter is not None
    assert (letter.reason, letter.error_class, letter.history) == ("deadline_exceeded", "recoverable", [])
    assert pipeline.job(job_id).error_code == "deadline_exceeded"
    assert pipeline.events(job_id) == ["job:enqueued", "job:failed"]


def test_an_analysis_that_no_worker_takes_marks_its_plan(pipeline: Pipeline, sweeper: Sweeper) -> None:
    requested = pipeline.analyses.request(
        title=None, channels=["amazon"], context=None, origin="analysis", by=APPROVER, request_id=None
    )
    wait_for(pipeline, DAY + 1)
    sweeper.reconcile()
    assert pipeline.plan(requested.plan_id).status == PlanStatus.ANALYSIS_FAILED


@pytest.mark.parametrize(
    ("waited", "deadline"),
    [pytest.param(DAY - 60, -1, id="not-for-a-day"), pytest.param(DAY + 1, 60, id="within-its-time")],
)
def test_a_job_that_may_still_be_taken_is_kept(
    pipeline: Pipeline, sweeper: Sweeper, waited: float, deadline: float
) -> None:
    job_id = pipeline.approved()
    wait_for(pipeline, waited, deadline_seconds=deadline)
    sweeper.reconcile()
    assert pipeline.job(job_id).status == JobStatus.PENDING


def test_a_job_of_a_paused_queue_is_kept(pipeline: Pipeline, sweeper: Sweeper) -> None:
    job_id = pipeline.approved()
    wait_for(pipeline, DAY + 1)
    with pipeline.database.write() as connection:
        name = queue_control(JobKind.PHASE1)
        set_control(pipeline.database, connection, name, QueueState.PAUSED, actor="ana", reason="a look")
    sweeper.reconcile()
    assert pipeline.job(job_id).status == JobStatus.PENDING


def test_a_job_that_waited_in_a_paused_queue_is_kept_for_as_long_again(pipeline: Pipeline, sweeper: Sweeper) -> None:
    job_id = pipeline.approved()
    wait_for(pipeline, DAY + 1)
    for turn in (pipeline.controls.pause, pipeline.controls.resume):
        turn([JobKind.PHASE1], reason="a look", by=APPROVER, request_id=None)
    sweeper.reconcile()
    assert pipeline.job(job_id).status == JobStatus.PENDING
    with pipeline.database.write() as connection:
        connection.execute(update(controls).values(changed_at=now_plus(-DAY - 1)))
    sweeper.reconcile()
    assert pipeline.job(job_id).status == JobStatus.FAILED


def test_a_sweeper_that_has_just_begun_gives_nothing_up(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    wait_for(pipeline, DAY + 1)
    sweeper_after(pipeline, 60).reconcile()
    assert pipeline.job(job_id).status == JobStatus.PENDING


def test_accepted_jobs_are_those_completed_and_failed_and_in_flight(pipeline: Pipeline, sweeper: Sweeper) -> None:
    def lose_lease(_run: JobRun) -> Finished:
        with pipeline.database.write() as connection:
            connection.execute(
                update(jobs)
                .where(jobs.c.status == JobStatus.ACTIVE)
                .values(lease_until_at=now_plus(-1), crash_count=pipeline.settings.crash_limit)
            )
        pipeline.sweeper.reap()
        return Finished(lambda _connection: {})

    def run(body: Callable[[JobRun], Finished], times: int = 1) -> UUID:
        job_id = pipeline.approved()
        pipeline.bodies[JobKind.PHASE1] = body
        for _ in range(times):
            pipeline.executor.run(job_id)
        return job_id

    abandoned = pipeline.approved()
    wait_for(pipeline, DAY + 1)
    sweeper.reconcile()
    run(no_work)
    run(raising(NetworkError("reset")), times=2)
    run(raising(BadAnswerError("no JSON")))
    run(raising(*[NetworkError("reset")] * 4), times=4)
    run(lose_lease)
    retrying = run(raising(NetworkError("reset")))
    waiting = pipeline.approved()

    with pipeline.database.read() as connection:
        levels = {count.status: count.count for count in count_jobs(connection)}
    assert levels == {JobStatus.COMPLETED: 2, JobStatus.FAILED: 4, JobStatus.PENDING: 2}
    assert {pipeline.job(job_id).status for job_id in (retrying, waiting)} == {JobStatus.PENDING}
    assert pipeline.job(abandoned).status == JobStatus.FAILED
    for outcome, status in (("completed", JobStatus.COMPLETED), ("failed", JobStatus.FAILED)):
        counted = pipeline.value("marketplace_job_retries_count", kind="phase1", outcome=outcome)
        assert counted == levels[status]
