from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import structlog
from dramatiq import Message

from app.domain.errors import DatabaseUnavailableError, NetworkError
from app.domain.jobs import ACTOR, QUEUES, JobKind, JobStatus
from app.job_execution import Finished
from app.job_runs import JobRun
from app.settings import WorkerSettings
from app.storage.database import Database
from tests.pipeline import APPROVER, Pipeline, raising
from tests.servers import free_port, running_valkey, wait_until
from worker.pool import WorkerPool, run_hint


@contextmanager
def working(pipeline: Pipeline, **settings: int) -> Iterator[WorkerPool]:
    worker_settings = WorkerSettings(poll_milliseconds=20, **settings)
    pool = WorkerPool(
        pipeline.redis,
        pipeline.hints._namespace,
        worker_settings,
        pipeline.executor,
        pipeline.heartbeat,
        pipeline.metrics,
    )
    pool.start()
    try:
        yield pool
    finally:
        pool.stop(grace_seconds=10)


def ends(pipeline: Pipeline, job_id: UUID, status: JobStatus = JobStatus.COMPLETED) -> None:
    wait_until(lambda: pipeline.job(job_id).status == status, what=f"job {status}")


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


@pytest.mark.parametrize(
    "message",
    [{}, {"v": 2, "jobId": str(uuid4())}, {"v": 1, "jobId": "x"}, {"v": 1, "jobId": str(uuid4()), "more": 1}],
    ids=["empty", "unknown version", "no id", "unknown field"],
)
def test_a_hint_that_is_not_understood_is_counted_and_dropped(pipeline: Pipeline, message: dict[str, object]) -> None:
    hint: Message[None] = Message(
        queue_name=QUEUES[JobKind.PHASE1], actor_name=ACTOR, args=(), kwargs={"message": message}, options={}
    )
    with working(pipeline):
        pipeline.hints._broker.enqueue(hint)
        wait_until(
            lambda: pipeline.value("marketplace_unexpected_errors_total", place="job") == 1,
            what="the hint to be dropped",
        )
        ends(pipeline, pipeline.approved())


def test_a_hint_is_dropped_when_the_database_is_away(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_job_id: object) -> None:
        raise DatabaseUnavailableError("sqlite: locked")

    monkeypatch.setattr(pipeline.executor, "run", away)
    with structlog.testing.capture_logs() as logs:
        run_hint(pipeline.executor, pipeline.metrics, {"v": 1, "jobId": str(uuid4())})
    assert [log["event"] for log in logs] == ["hint_dropped"]


def test_workers_go_on_after_redis_was_away(database: Database, tmp_path: Path) -> None:
    server = partial(running_valkey, tmp_path, port=free_port(), password="of-this-test")
    with ExitStack() as stack:
        with server() as url:
            pipeline = Pipeline(database, url)
            stack.callback(pipeline.close)
            stack.enter_context(working(pipeline))
            ends(pipeline, pipeline.approved())
        job_id = pipeline.approved()
        assert pipeline.value("marketplace_hints_sent_total", sender="web", outcome="failed") == 1
        stack.enter_context(server())
        pipeline.recovery.recover([pipeline.job(job_id).plan_id], by=APPROVER, request_id=None)
        ends(pipeline, job_id)
