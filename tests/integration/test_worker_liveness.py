from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import structlog

from app.domain.deadline import Deadline
from app.domain.jobs import QUEUES, JobKind
from app.job_execution import Finished
from app.job_runs import JobRun
from app.storage.transitions import Claim
from tests.pipeline import Pipeline
from tests.servers import wait_until
from tests.workers import ends, working


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


def test_a_pool_is_well_when_idle_and_when_busy(pipeline: Pipeline) -> None:
    began, go_on = threading.Event(), threading.Event()

    def body(_run: JobRun) -> Finished:
        began.set()
        assert go_on.wait(30)
        return Finished(lambda _connection: {})

    pipeline.bodies[JobKind.PHASE1] = body
    with working(pipeline, phase1_threads=1) as pool:
        assert pool.problems() == []
        job_id = pipeline.approved()
        assert began.wait(30)
        assert pool.problems() == []
        go_on.set()
        ends(pipeline, job_id)


def test_a_dead_thread_is_seen(pipeline: Pipeline) -> None:
    with working(pipeline, phase1_threads=2) as pool:
        pool._running[0].worker.workers[0].stop()
        wait_until(pool.problems, what="the death to be seen")
        assert pool.problems() == ["phase1: 1 of 2 threads are dead"]


def test_a_dead_consumer_is_seen(pipeline: Pipeline) -> None:
    with working(pipeline) as pool:
        for consumer in pool._running[1].worker.consumers.values():
            consumer.stop()
        wait_until(pool.problems, what="the death to be seen")
        assert pool.problems() == ["analysis: the consumer is dead"]


def test_a_dead_heartbeat_is_seen(pipeline: Pipeline) -> None:
    with working(pipeline) as pool:
        pool._heartbeat.stop()
        assert pool.problems() == ["the heartbeat is dead"]


def test_a_consumer_that_hangs_is_seen(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(pipeline.dead_messages, "bury", lambda *_: go_on.wait(30))
    with working(pipeline, redis_timeout_seconds=0.2, hung_after_seconds=0.5) as pool:
        pipeline.redis.rpush(f"{pipeline.redis_settings.namespace}:{QUEUES[JobKind.PHASE1]}", b"poison")

        def hanging() -> list[str]:
            return [problem.partition(" has hung for ")[0] for problem in pool.problems()]

        # On a busy machine the other one may be late for a moment.
        wait_until(lambda: hanging() == ["phase1: the consumer"], what="the hanging to be seen")
        go_on.set()
        wait_until(lambda: not pool.problems(), what="the consumer to go on")


def test_a_run_that_hangs_far_beyond_its_time_is_seen(pipeline: Pipeline) -> None:
    claim = Claim(uuid4(), uuid4(), JobKind.PHASE1, 1, 1, 0, datetime.now(UTC), 0.0, 10.0, None)
    with working(pipeline) as pool:
        for age, seen in ((30, False), (61, True)):
            run = JobRun(claim, Deadline.after(-age), will_retry=lambda _error: False)
            pool._heartbeat.hold(run)
            assert bool(pool.problems()) is seen
            pool._heartbeat.drop(run)


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt, MemoryError])
def test_no_job_takes_its_thread_along(end: type[BaseException], pipeline: Pipeline) -> None:
    def body(_run: JobRun) -> Finished:
        raise end

    pipeline.bodies[JobKind.PHASE1] = body
    with working(pipeline, phase1_threads=1) as pool:
        job_id = pipeline.approved()
        wait_until(lambda: pipeline.job(job_id).attempt_number == 1 and not pool._heartbeat.held(), what="the end")
        pipeline.bodies[JobKind.PHASE1] = lambda _run: Finished(lambda _connection: {})
        ends(pipeline, pipeline.approved())
        assert pool.problems() == []
