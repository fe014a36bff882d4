"""The scheduler in place of the workers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

import pytest
from sqlalchemy import select, update

from app.domain.controls import MODE, Mode, QueueState, queue_control
from app.domain.errors import NetworkError, RedisUnavailableError
from app.domain.jobs import QUEUES, JobKind, JobStatus
from app.settings import JobSettings, SchedulerSettings
from app.storage.controls import set_control
from app.storage.database import Database
from app.storage.schema import attempts, jobs
from tests.pipeline import APPROVER, Held, Pipeline, raising
from tests.servers import wait_until
from worker.fallback import Fallback

SETTINGS = SchedulerSettings(fallback_after_seconds=3, fallback_phase1_runs=2, fallback_analysis_runs=1)


@dataclass
class Scheduler:
    """A scheduler's fallback, for which Redis has been away for `away_seconds`."""

    pipeline: Pipeline
    away_seconds: float = 3.0

    def __post_init__(self) -> None:
        self.fallback = Fallback(
            self.pipeline.database,
            self.pipeline.another_executor("scheduler-1"),
            SETTINGS,
            self.pipeline.metrics,
            redis_away_seconds=lambda: self.away_seconds,
        )

    def idle(self) -> bool:
        return not self.fallback._runs.running


@pytest.fixture
def scheduler(database: Database, redis_url: str) -> Iterator[Scheduler]:
    # Jobs are due at once, and so are their retries.
    settings = JobSettings(grace_seconds=0.001, retry_delays_seconds=(0.0,))
    pipeline = Pipeline(database, redis_url, settings)
    scheduler = Scheduler(pipeline)
    yield scheduler
    scheduler.fallback.stop()
    pipeline.close()


def analysis(pipeline: Pipeline) -> UUID:
    return pipeline.analyses.request(
        title=None, channels=["amazon"], context=None, origin="analysis", by=APPROVER, request_id=None
    ).job_id


def statuses(pipeline: Pipeline) -> list[str]:
    with pipeline.database.read() as connection:
        return sorted(connection.scalars(select(jobs.c.status)).all())


def switch(pipeline: Pipeline, name: str, value: str) -> None:
    with pipeline.database.write() as connection:
        set_control(pipeline.database, connection, name, value, actor="ana", reason=None)


def test_jobs_of_both_kinds_are_run_while_redis_is_away(scheduler: Scheduler) -> None:
    pipeline = scheduler.pipeline
    job_ids = [pipeline.approved(), analysis(pipeline)]
    scheduler.fallback.run_due()
    wait_until(lambda: statuses(pipeline) == ["completed"] * 2, what="both jobs")
    with pipeline.database.read() as connection:
        found = connection.execute(select(attempts.c.job_id, attempts.c.via, attempts.c.worker)).all()
    assert {tuple(row) for row in found} == {(job_id, "fallback", "scheduler-1") for job_id in job_ids}
    assert pipeline.value("marketplace_job_runs_total", kind="phase1", via="fallback") == 1
    assert pipeline.value("marketplace_fallback_active") == 1


def test_nothing_is_run_before_redis_has_been_away_for_a_while_nor_when_it_is_back(scheduler: Scheduler) -> None:
    pipeline = scheduler.pipeline
    job_id = pipeline.approved()
    scheduler.away_seconds = 2.9
    scheduler.fallback.run_due()
    assert scheduler.idle()
    scheduler.away_seconds = 3.0
    scheduler.fallback.run_due()
    wait_until(lambda: pipeline.job(job_id).status == JobStatus.COMPLETED, what="the job")
    scheduler.away_seconds = 0.0
    pipeline.approved()
    scheduler.fallback.run_due()
    assert scheduler.idle()
    assert pipeline.value("marketplace_fallback_active") == 0


def test_no_more_run_at_once_than_allowed_and_each_end_makes_room_for_the_next(scheduler: Scheduler) -> None:
    pipeline = scheduler.pipeline
    held = Held()
    pipeline.bodies[JobKind.PHASE1] = held
    for _ in range(7):
        pipeline.approved()
    for _ in range(3):
        scheduler.fallback.run_due()
    wait_until(lambda: statuses(pipeline).count("active") == 2, what="two runs")
    assert scheduler.fallback._runs.running == 2
    held.let_go()
    wait_until(lambda: statuses(pipeline) == ["completed"] * 7, what="all jobs, without another tick")


def test_slow_analyses_keep_no_phase_1_job_waiting(scheduler: Scheduler) -> None:
    pipeline = scheduler.pipeline
    held = Held()
    pipeline.bodies[JobKind.ANALYSIS] = held
    for _ in range(3):
        analysis(pipeline)
    scheduler.fallback.run_due()
    job_id = pipeline.approved()
    scheduler.fallback.run_due()
    wait_until(lambda: pipeline.job(job_id).status == JobStatus.COMPLETED, what="the Phase 1 job")
    held.let_go()


def test_a_retry_is_run_as_well(scheduler: Scheduler) -> None:
    pipeline = scheduler.pipeline
    pipeline.bodies[JobKind.PHASE1] = raising(NetworkError("reset"))
    job_id = pipeline.approved()

    def completed() -> bool:
        scheduler.fallback.run_due()
        return bool(pipeline.job(job_id).status == JobStatus.COMPLETED)

    wait_until(completed, what="the second attempt")
    assert [row.outcome for row in pipeline.attempts(job_id)] == ["retrying", "completed"]


def test_a_job_under_which_a_process_has_died_is_left_alone(scheduler: Scheduler) -> None:
    pipeline = scheduler.pipeline
    crashed, healthy = pipeline.approved(), pipeline.approved()
    with pipeline.database.write() as connection:
        connection.execute(update(jobs).where(jobs.c.job_id == crashed).values(crash_count=1))
    scheduler.fallback.run_due()
    wait_until(lambda: pipeline.job(healthy).status == JobStatus.COMPLETED, what="the healthy job")
    wait_until(scheduler.idle, what="the end of the run")
    assert pipeline.job(crashed).status == JobStatus.PENDING


def test_jobs_of_a_paused_queue_are_left_alone(scheduler: Scheduler) -> None:
    pipeline = scheduler.pipeline
    switch(pipeline, queue_control(JobKind.PHASE1), QueueState.PAUSED)
    paused, other = pipeline.approved(), analysis(pipeline)
    scheduler.fallback.run_due()
    wait_until(lambda: pipeline.job(other).status == JobStatus.COMPLETED, what="the analysis")
    wait_until(scheduler.idle, what="the end of the run")
    assert pipeline.job(paused).status == JobStatus.PENDING


def test_two_schedulers_run_each_job_once(scheduler: Scheduler) -> None:
    pipeline = scheduler.pipeline
    other = Scheduler(pipeline)
    for _ in range(20):
        pipeline.approved()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda each: each.fallback.run_due(), (scheduler, other)))
    wait_until(lambda: statuses(pipeline) == ["completed"] * 20, what="all jobs")
    with pipeline.database.read() as connection:
        assert len(connection.execute(select(attempts)).all()) == 20
    other.fallback.stop()


@pytest.mark.parametrize(
    ("name", "value"),
    [(MODE, Mode.SYNC), (queue_control(JobKind.PHASE1), QueueState.DRAINED)],
    ids=["sync", "drained"],
)
def test_what_an_operator_has_left_to_it_is_run_here_and_workers_are_not_told(
    scheduler: Scheduler, name: str, value: str
) -> None:
    pipeline = scheduler.pipeline
    scheduler.away_seconds = 0.0
    pipeline.sweeper.dispatch()
    # As they lie there after a retry, or when no process had room for them.
    job_id, analysis_id = pipeline.approved(), analysis(pipeline)
    pipeline.redis.flushdb()
    switch(pipeline, name, value)
    pipeline.sweeper.dispatch()
    assert [pipeline.hints.waiting(QUEUES[kind]) for kind in (JobKind.PHASE1, JobKind.ANALYSIS)] == [0, 1]
    scheduler.fallback.run_due()
    wait_until(lambda: pipeline.job(job_id).status == JobStatus.COMPLETED, what="the job")
    wait_until(scheduler.idle, what="the end of the run")
    assert pipeline.job(analysis_id).status == JobStatus.PENDING
    assert pipeline.value("marketplace_fallback_active") == 1


@pytest.mark.parametrize("value", [QueueState.PAUSED, QueueState.DRAINING])
def test_in_sync_mode_a_paused_queue_waits_and_a_draining_one_is_left_to_workers(
    scheduler: Scheduler, value: QueueState
) -> None:
    pipeline = scheduler.pipeline
    scheduler.away_seconds = 0.0
    pipeline.approved()
    switch(pipeline, MODE, Mode.SYNC)
    switch(pipeline, queue_control(JobKind.PHASE1), value)
    pipeline.sweeper.dispatch()
    assert pipeline.hints.waiting(QUEUES[JobKind.PHASE1]) == (1 if value is QueueState.PAUSED else 2)
    scheduler.fallback.run_due()
    assert scheduler.idle()


def test_a_scheduler_that_stops_gives_its_jobs_back(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = scheduler.pipeline
    held = Held()
    pipeline.bodies[JobKind.PHASE1] = held
    job_id = pipeline.approved()
    scheduler.fallback.run_due()
    wait_until(pipeline.heartbeat.held, what="the run")
    monkeypatch.setattr(scheduler.fallback, "_settings", SETTINGS.model_copy(update={"shutdown_grace_seconds": 0.01}))
    assert scheduler.fallback.stop() is False
    assert pipeline.job(job_id).status == JobStatus.PENDING
    held.let_go()


def test_the_sweeper_tells_for_how_long_redis_has_been_away(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeper, now = scheduler.pipeline.sweeper, [100.0]
    monkeypatch.setattr(sweeper, "_monotonic", lambda: now[0])
    assert sweeper.redis_away_seconds == 0.0

    def refuse(_epoch: str) -> bool:
        raise RedisUnavailableError("Redis: OutOfMemoryError")

    with monkeypatch.context() as away:
        away.setattr(scheduler.pipeline.hints, "begin_epoch", refuse)
        for _ in range(2):
            with pytest.raises(RedisUnavailableError):
                sweeper.dispatch()
            now[0] += 2.5
    assert sweeper.redis_away_seconds == 5.0
    sweeper.dispatch()
    assert sweeper.redis_away_seconds == 0.0
