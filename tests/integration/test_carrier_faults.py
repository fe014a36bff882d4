"""The carrier of hints while Redis misbehaves: nothing ends that should go on, and nothing is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
import structlog
from redis import Redis
from sqlalchemy import update

from app.domain.errors import NetworkError
from app.domain.jobs import QUEUES, JobKind
from app.job_queue.health import check_redis
from app.storage.clock import now_plus
from app.storage.database import Database
from app.storage.schema import jobs
from tests.pipeline import Pipeline, raising
from tests.servers import free_port, running_valkey, wait_until
from tests.workers import ends, working

PHASE1 = QUEUES[JobKind.PHASE1]


@contextmanager
def frozen(server: Redis) -> Iterator[None]:
    pid = int(server.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    yield
    os.kill(pid, signal.SIGCONT)


@contextmanager
def paused(server: Redis) -> Iterator[None]:
    # It ends by itself: the command that would end it earlier is held up as well.
    server.client_pause(4000)
    yield


@contextmanager
def turned_into_a_replica(server: Redis) -> Iterator[None]:
    server.replicaof("127.0.0.1", 1)
    yield
    server.replicaof("NO", "ONE")


@contextmanager
def full(server: Redis) -> Iterator[None]:
    server.config_set("maxmemory", 1)
    yield
    server.config_set("maxmemory", 0)


Fault = Callable[[Redis], AbstractContextManager[None]]


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[str]:
    with running_valkey(tmp_path) as url:
        yield url


def failed_tries(pipeline: Pipeline) -> float:
    return pipeline.value("marketplace_redis_commands_total", client="patient", outcome="failed")


def dispatch_again(pipeline: Pipeline, job_id: UUID) -> None:
    """Let REDISPATCH pass, and the sweeper make its round."""
    with pipeline.database.write() as connection:
        connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(next_dispatch_at=now_plus(-1)))
    pipeline.sweeper.dispatch()


@pytest.mark.parametrize("fault", [frozen, paused, turned_into_a_replica], ids=lambda fault: fault.__name__)
def test_a_worker_goes_on_after(fault: Fault, database: Database, own_server: str) -> None:
    pipeline = Pipeline(database, own_server)
    with working(pipeline, redis_timeout_seconds=0.4) as pool, Redis.from_url(own_server) as server:
        ends(pipeline, pipeline.approved())
        with fault(server):
            before = failed_tries(pipeline)
            wait_until(lambda: failed_tries(pipeline) >= before + 4, what="both consumers to fail twice")
            job_id = pipeline.approved()
            assert pool.problems() == []
        wait_until(lambda: check_redis(pipeline.redis).error is None, what="Redis to answer")
        dispatch_again(pipeline, job_id)
        ends(pipeline, job_id)
        assert pool.problems() == []
    pipeline.close()


def test_a_worker_goes_on_while_redis_is_full(database: Database, own_server: str) -> None:
    pipeline = Pipeline(database, own_server)
    with working(pipeline) as pool, Redis.from_url(own_server) as server:
        with full(server):
            job_id = pipeline.approved()
            assert pipeline.value("marketplace_hints_sent_total", sender="web", outcome="failed") == 1
            assert pool.problems() == []
        dispatch_again(pipeline, job_id)
        ends(pipeline, job_id)
    pipeline.close()


def test_a_worker_goes_on_after_redis_was_away(database: Database, tmp_path: Path) -> None:
    server = partial(running_valkey, tmp_path, port=free_port(), password="of-this-test")
    with ExitStack() as stack:
        with server() as url:
            pipeline = Pipeline(database, url)
            stack.callback(pipeline.close)
            pool = stack.enter_context(working(pipeline))
            ends(pipeline, pipeline.approved())
        job_id = pipeline.approved()
        wait_until(lambda: failed_tries(pipeline) >= 8, what="the worker to try again and again")
        assert pool.problems() == []
        stack.enter_context(server())
        dispatch_again(pipeline, job_id)
        ends(pipeline, job_id)


def test_an_outage_is_told_once_at_its_beginning_and_once_at_its_end(database: Database, tmp_path: Path) -> None:
    server = partial(running_valkey, tmp_path, port=free_port(), password="of-this-test")
    with ExitStack() as stack:
        logs = stack.enter_context(structlog.testing.capture_logs())
        with server() as url:
            pipeline = Pipeline(database, url)
            stack.callback(pipeline.close)
            stack.enter_context(working(pipeline, analysis_threads=0))
            ends(pipeline, pipeline.approved())
        wait_until(lambda: failed_tries(pipeline) >= 6, what="the worker to try again and again")
        stack.enter_context(server())
        wait_until(lambda: "hints_reachable" in [log["event"] for log in logs], what="the end to be told")
        told = [log["event"] for log in logs if log["event"].startswith("hints_")]
        assert told == ["hints_not_reachable", "hints_reachable"]


def test_a_worker_that_started_without_redis_works_when_it_comes(database: Database, tmp_path: Path) -> None:
    port = free_port()
    pipeline = Pipeline(database, f"redis://:of-this-test@127.0.0.1:{port}/0")
    with ExitStack() as stack:
        stack.callback(pipeline.close)
        stack.enter_context(working(pipeline))
        wait_until(lambda: failed_tries(pipeline) >= 2, what="the worker to fail")
        stack.enter_context(running_valkey(tmp_path, port=port, password="of-this-test"))
        ends(pipeline, pipeline.approved())


def test_a_hint_that_a_process_took_to_its_death_comes_again(pipeline: Pipeline) -> None:
    """So does one whose reply the network lost: both are in no place any more."""
    job_id = pipeline.approved()
    assert len(pipeline.hints.take([PHASE1], limit=8, wait_seconds=0.1)) == 1
    with working(pipeline):
        dispatch_again(pipeline, job_id)
        ends(pipeline, job_id)


def test_a_hint_that_comes_twice_runs_its_job_once(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    for _ in range(20):
        pipeline.hints.send(PHASE1, job_id)
    with working(pipeline):
        ends(pipeline, job_id)
        wait_until(lambda: pipeline.hints.waiting(PHASE1) == 0, what="the repeats to be taken")
        ends(pipeline, pipeline.approved())
    assert len(pipeline.attempts(job_id)) == 1
    assert pipeline.value("marketplace_dead_messages_total", reason="unknown_job") == 0


def test_an_emptied_redis_costs_no_job(pipeline: Pipeline, own_server: str) -> None:
    own = Pipeline(pipeline.database, own_server)
    own.sweeper.dispatch()
    job_ids = [own.approved() for _ in range(5)]
    own.redis.flushall()
    with working(own):
        own.sweeper.dispatch()
        for job_id in job_ids:
            ends(own, job_id)
    own.close()


def test_a_job_that_is_done_leaves_nothing_in_redis(pipeline: Pipeline) -> None:
    """No acknowledgements, no heartbeats, no delayed messages: nothing that an outage could strand."""
    pipeline.bodies[JobKind.PHASE1] = raising(NetworkError("reset"))
    with working(pipeline):
        job_id = pipeline.approved()
        wait_until(lambda: pipeline.job(job_id).error_count == 1, what="the first attempt")
        assert pipeline.redis.keys(f"{pipeline.redis_settings.namespace}:*") == []
        pipeline.sweeper.dispatch()
        ends(pipeline, job_id)
    keys = pipeline.redis.keys(f"{pipeline.redis_settings.namespace}:*")
    assert keys == [f"{pipeline.redis_settings.namespace}:epoch".encode()]
