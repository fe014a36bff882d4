from __future__ import annotations

import threading
import time
from pathlib import Path
from uuid import uuid4

import pytest
import structlog

from app.domain.errors import DatabaseUnavailableError, NetworkError
from app.domain.jobs import QUEUES, JobKind, JobMessage, JobStatus
from app.job_execution import Finished
from app.job_queue.hint_messages import Delivery, read_hint
from app.job_runs import JobRun
from app.settings import WorkerSettings
from app.storage.database import Database
from tests.pipeline import APPROVER, Pipeline, raising
from tests.servers import running_valkey, wait_until
from tests.workers import ends, working
from worker.broker import HintBroker
from worker.pool import quarantine_groups, run_hint, usual_groups


def test_a_hint_makes_its_job_run(pipeline: Pipeline) -> None:
    with working(pipeline):
        job_id = pipeline.approved()
        ends(pipeline, job_id)
    assert pipeline.hints.waiting(QUEUES[JobKind.PHASE1]) == 0


def test_a_retry_runs_after_the_sweeper_sent_its_hint(pipeline: Pipeline) -> None:
    pipeline.bodies[JobKind.PHASE1] = raising(NetworkError("reset"))
    with working(pipeline):
        job_id = pipeline.approved()
        wait_until(lambda: pipeline.job(job_id).error_count == 1, what="the first attempt")
        pipeline.sweeper.dispatch()
        ends(pipeline, job_id)


def test_the_threads_that_run_jobs_are_told_until_they_have_ended(pipeline: Pipeline) -> None:
    def threads(role: str) -> list[float]:
        return [pipeline.value("marketplace_worker_threads", kind=kind, role=role) for kind in JobKind]

    settings = WorkerSettings(phase1_threads=3, analysis_threads=0)
    with working(pipeline, usual_groups(settings)):
        assert (threads("worker"), threads("quarantine")) == ([0, 3], [0, 0])
    with working(pipeline, quarantine_groups(settings)):
        assert (threads("worker"), threads("quarantine")) == ([0, 0], [3, 3])
    assert (threads("worker"), threads("quarantine")) == ([0, 0], [0, 0])


def test_slow_analyses_do_not_keep_phase_1_jobs_waiting(pipeline: Pipeline) -> None:
    go_on = threading.Event()

    def slow(_run: JobRun) -> Finished:
        assert go_on.wait(30)
        return Finished(lambda _connection: {})

    pipeline.bodies[JobKind.ANALYSIS] = slow
    with working(pipeline, phase1_threads=2, analysis_threads=2):
        analyses = [
            pipeline.analyses.request(
                title=None, channels=["amazon"], context=None, origin="analysis", by=APPROVER, request_id=None
            ).job_id
            for _ in range(4)
        ]
        try:
            wait_until(
                lambda: sum(pipeline.job(job_id).status == JobStatus.ACTIVE for job_id in analyses) == 2,
                what="both analysis threads to be busy",
            )
            ends(pipeline, pipeline.approved())
        finally:
            go_on.set()
        for job_id in analyses:
            ends(pipeline, job_id)


def test_stopping_waits_for_running_jobs(pipeline: Pipeline) -> None:
    started, go_on = threading.Event(), threading.Event()

    def body(_run: JobRun) -> Finished:
        started.set()
        assert go_on.wait(30)
        return Finished(lambda _connection: {})

    pipeline.bodies[JobKind.PHASE1] = body
    with working(pipeline) as pool:
        job_id = pipeline.approved()
        assert started.wait(20)
        stopping = threading.Thread(target=pool.stop, kwargs={"grace_seconds": 20})
        stopping.start()
        go_on.set()
        stopping.join(30)
        assert pipeline.job(job_id).status == JobStatus.COMPLETED


def test_stopping_gives_back_what_does_not_end_in_time(pipeline: Pipeline) -> None:
    started, go_on = threading.Event(), threading.Event()

    def body(run: JobRun) -> Finished:
        started.set()
        assert go_on.wait(30)
        run.advance(50)
        return Finished(lambda _connection: {})

    pipeline.bodies[JobKind.PHASE1] = body
    with working(pipeline) as pool:
        job_id = pipeline.approved()
        assert started.wait(20)
        assert pool.stop(grace_seconds=0.1) == 1
        go_on.set()
    row = pipeline.job(job_id)
    assert (row.status, row.error_count, row.crash_count) == (JobStatus.PENDING, 0, 0)


def test_a_hint_is_dropped_when_the_database_is_away(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_job_id: object, *, crash_count: int) -> None:  # noqa: ARG001 -- the executor's signature
        raise DatabaseUnavailableError("sqlite: locked")

    monkeypatch.setattr(pipeline.executor, "run", away)
    with structlog.testing.capture_logs() as logs:
        run_hint(
            pipeline.executor,
            pipeline.dead_messages,
            pipeline.metrics,
            Delivery("phase1-tasks", b""),
            JobMessage(job_id=uuid4()),
        )
    assert [log["event"] for log in logs] == ["hint_dropped"]


def test_a_hint_is_taken_at_once_however_seldom_an_idle_worker_polls(pipeline: Pipeline) -> None:
    with working(pipeline, redis_timeout_seconds=20, poll_milliseconds=5000):
        ends(pipeline, pipeline.approved())
        started = time.monotonic()
        for _ in range(5):
            ends(pipeline, pipeline.approved())
        # Each of them comes when both consumers have just begun to wait for 5 s.
        assert time.monotonic() - started < 15


def test_an_idle_worker_sends_one_command_per_queue_and_poll(database: Database, tmp_path: Path) -> None:
    with running_valkey(tmp_path) as url:
        pipeline = Pipeline(database, url)

        def polls() -> int:
            return int(pipeline.redis.info("commandstats").get("cmdstat_blmpop", {}).get("calls", 0))

        with working(pipeline, poll_milliseconds=1000):
            wait_until(polls, what="the worker to begin")
            before, started = polls(), time.monotonic()
            wait_until(lambda: polls() >= before + 4, what="four polls")
            # Two consumers that wait for a second each; with less than a second for the way.
            assert time.monotonic() - started > 1
        pipeline.close()


def test_a_busy_worker_leaves_hints_to_others(pipeline: Pipeline) -> None:
    began, go_on = threading.Barrier(3), threading.Event()

    def body(_run: JobRun) -> Finished:
        began.wait(30)
        assert go_on.wait(30)
        return Finished(lambda _connection: {})

    pipeline.bodies[JobKind.PHASE1] = body
    with (
        working(pipeline, owner="one", phase1_threads=1, analysis_threads=0),
        working(pipeline, owner="other", phase1_threads=1, analysis_threads=0),
    ):
        job_ids = [pipeline.approved() for _ in range(2)]
        # Neither begins before both run.
        began.wait(30)
        assert {pipeline.job(job_id).lease_owner for job_id in job_ids} == {"one", "other"}
        go_on.set()
        for job_id in job_ids:
            ends(pipeline, job_id)


def test_no_hint_is_taken_that_no_thread_is_free_for(pipeline: Pipeline) -> None:
    began, go_on = threading.Event(), threading.Event()

    def body(_run: JobRun) -> Finished:
        began.set()
        assert go_on.wait(30)
        return Finished(lambda _connection: {})

    pipeline.bodies[JobKind.PHASE1] = body
    with working(pipeline, phase1_threads=1, analysis_threads=0):
        job_ids = [pipeline.approved() for _ in range(3)]
        assert began.wait(30)
        assert pipeline.hints.waiting(QUEUES[JobKind.PHASE1]) == 2
        go_on.set()
        for job_id in job_ids:
            ends(pipeline, job_id)


def test_a_worker_that_stops_takes_no_more_hints_while_its_jobs_end(pipeline: Pipeline) -> None:
    began, go_on = threading.Event(), threading.Event()

    def body(_run: JobRun) -> Finished:
        began.set()
        assert go_on.wait(30)
        return Finished(lambda _connection: {})

    pipeline.bodies[JobKind.PHASE1] = body
    with working(pipeline, phase1_threads=2) as pool:
        running = pipeline.approved()
        assert began.wait(30)
        stopping = threading.Thread(target=pool.stop, kwargs={"grace_seconds": 30})
        stopping.start()
        (group, *_) = pool._running
        (consumer,) = group.worker.consumers.values()
        consumer.join(30)
        late = pipeline.approved()
        go_on.set()
        stopping.join(30)
    assert pipeline.job(running).status == JobStatus.COMPLETED
    assert pipeline.job(late).status == JobStatus.PENDING
    assert pipeline.hints.waiting(QUEUES[JobKind.PHASE1]) == 1


def test_hints_that_no_thread_has_begun_with_are_given_back_in_their_order(pipeline: Pipeline) -> None:
    job_ids = [pipeline.approved() for _ in range(4)]
    broker = HintBroker(
        pipeline.hints,
        [QUEUES[JobKind.PHASE1]],
        threads=3,
        poll_seconds=0.1,
        pause_seconds=lambda _failures: 0.0,
        bury=pipeline.dead_messages.bury,
    )
    consumer = broker.consume("phase1")
    handed_out = [next(consumer), next(consumer)]
    consumer.close()
    consumer.requeue([message for message in handed_out if message is not None])
    taken = pipeline.hints.take([QUEUES[JobKind.PHASE1]], limit=8, wait_seconds=0.1)
    assert [read_hint(delivery.body) for delivery in taken] == [JobMessage(job_id=job_id) for job_id in job_ids]
    assert broker.room.wait(0) == 3
