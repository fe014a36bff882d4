"""Drain throughput: how fast worker processes of 8 threads work off a full queue."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal
from uuid import UUID

import redis
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from pydantic import SecretStr
from sqlalchemy import func, select

from app.domain.jobs import QUEUES, JobKind, JobStatus
from app.job_queue.hints import HintQueue
from app.settings import DatabaseSettings, RedisSettings
from app.storage.database import Database
from app.storage.migrate import upgrade
from app.storage.schema import jobs, tasks
from tests.bench.seeding import TASKS, seed_jobs
from tests.servers import ended

THREADS = 8

#: A worker that has not drained its queue after this many seconds never will.
_PATIENCE_SECONDS = 300.0

Contestant = Literal["ours", "bare"]


def drain(
    contestant: Contestant,
    database_url: str,
    redis_url: str,
    *,
    count: int,
    seed: int,
    log_directory: Path,
    processes: int = 1,
) -> float:
    """Return the jobs per second between the first claim and the last completion, by the database's clock.

    The database is empty; what Redis holds is removed. The jobs and their messages are there before the workers start,
    and every job must complete with all its tasks.
    """
    database = Database(DatabaseSettings(url=SecretStr(database_url)))
    client = redis.Redis.from_url(redis_url)
    try:
        upgrade(database)
        client.flushdb()
        job_ids = seed_jobs(database, count, seed=seed)
        _SENDERS[contestant](client, job_ids)
        log = log_directory / f"{contestant}.log"
        with _workers(contestant, database_url, redis_url, log, processes) as workers:
            _wait_for_the_end(database, count, workers)
        with database.read() as connection:
            assert connection.scalar(select(func.count()).select_from(tasks)) == count * TASKS
            times = connection.execute(select(jobs.c.started_at, jobs.c.completed_at)).all()
        seconds: float = (max(row.completed_at for row in times) - min(row.started_at for row in times)).total_seconds()
        return count / seconds
    finally:
        client.close()
        database.close()


def _wait_for_the_end(database: Database, count: int, workers: Sequence[subprocess.Popen[bytes]]) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    done = select(func.count()).select_from(jobs).where(jobs.c.status == JobStatus.COMPLETED)
    while time.monotonic() < end and all(worker.poll() is None for worker in workers):
        with database.read() as connection:
            if connection.scalar(done) == count:
                return
        # A question more often would take time from the workers.
        time.sleep(0.25)
    raise AssertionError(f"the queue is not drained; exit codes: {[worker.returncode for worker in workers]}")


def _send_hints(client: redis.Redis, job_ids: Sequence[UUID]) -> None:
    hints = HintQueue(client, RedisSettings().namespace)
    for job_id in job_ids:
        hints.send(QUEUES[JobKind.PHASE1], job_id)


def _send_messages(client: redis.Redis, job_ids: Sequence[UUID]) -> None:
    broker = RedisBroker(client=client)
    for job_id in job_ids:
        # By name: importing the actor's module would connect.
        message: Message[None] = Message(
            queue_name="default", actor_name="create_tasks", args=(str(job_id),), kwargs={}, options={}
        )
        broker.enqueue(message)


_SENDERS: dict[Contestant, Callable[[redis.Redis, Sequence[UUID]], None]] = {
    "ours": _send_hints,
    "bare": _send_messages,
}


@contextmanager
def _workers(
    contestant: Contestant, database_url: str, redis_url: str, log: Path, processes: int
) -> Iterator[list[subprocess.Popen[bytes]]]:
    if contestant == "ours":
        # One process each, as they are deployed; Dramatiq's own command starts its processes by itself.
        commands = [[str(Path(sys.executable).parent / "marketplace"), "worker"]] * processes
        environment = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "MARKETPLACE_WORKER__PHASE1_THREADS": str(THREADS),
            "MARKETPLACE_WORKER__ANALYSIS_THREADS": "0",
        }
    else:
        command = [sys.executable, "-m", "dramatiq", "tests.bench.bare_actor"]
        commands = [[*command, "--processes", str(processes), "--threads", str(THREADS)]]
        environment = {"BENCH_DATABASE_URL": database_url, "BENCH_REDIS_URL": redis_url}
    with log.open("ab") as output, ExitStack() as running:
        yield [
            running.enter_context(
                ended(subprocess.Popen(command, env=os.environ | environment, stdout=output, stderr=output), seconds=30)
            )
            for command in commands
        ]
