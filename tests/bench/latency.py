"""Latency over HTTP, against the stack that `marketplace run` starts: at a steady rate, and on an idle system."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import redis
import requests

from loadtest.plans import ready_plan
from loadtest.verdict import quantile
from tests.bench.section import Section, milliseconds
from tests.bench.seeding import TASKS
from tests.servers import ended, free_port, wait_until

#: Approvals that may be under way at once; far more than the rate needs.
_SENDERS = 32


#: Pause between two approvals of the idle run, in seconds: far longer than a job takes, and never the same.
_IDLE_PAUSE_SECONDS = (0.6, 1.4)

#: How long the idle stack's commands to Redis are counted, in seconds.
_COUNT_SECONDS = 10.0

#: What users were promised: approval to completion at 50 jobs a second, and approval to start on an idle system.
STEADY_P99_SECONDS = 0.05
IDLE_P50_SECONDS = 0.01


@dataclass(frozen=True)
class Latency:
    """Seconds. `rate` is what was reached: approvals per second over the whole run."""

    rate: float
    approve_p50: float
    approve_p99: float
    completion_p50: float
    completion_p99: float


@dataclass(frozen=True)
class IdleLatency:
    """Seconds from approval to start of a job that comes alone; and what the idle stack asks of Redis, per second."""

    start_p50: float
    start_p99: float
    start_max: float
    redis_commands_per_second: float


class Client:
    """The API, with one connection per thread."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self._local = threading.local()

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Return the answer; anything but success is an error."""
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.headers["Authorization"] = f"Bearer {self._token}"
        response = session.request(method, self._url + path, json=body, timeout=30)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer


def latency(client: Client, *, rate: float, count: int) -> Latency:
    """Approve `count` plans, `rate` a second, and wait for their jobs; times are the product's own.

    Approvals are sent by the clock, whatever the answers to those before: a slow product cannot slow the measurement.
    """
    chance = random.Random(count)
    with ThreadPoolExecutor(_SENDERS) as pool:
        imports = [ready_plan(chance, "amazon", tasks=TASKS) for _ in range(count)]
        plan_ids = [
            answer["planId"]
            for answer in pool.map(lambda body: client.call("POST", "/api/marketplace/analysis/import", body), imports)
        ]
        started = time.perf_counter()
        approvals = list(pool.map(_at_its_time(client, started, rate), enumerate(plan_ids)))
        reached = count / (time.perf_counter() - started)
        jobs = list(pool.map(lambda approval: _completed(client, approval[0]), approvals))
        completions = [_seconds(job, "createdAt", "completedAt") for job in jobs]
    return Latency(
        rate=reached, **_quantiles("approve", [s for _, s in approvals]), **_quantiles("completion", completions)
    )


def idle_latency(client: Client, redis_url: str, *, count: int) -> IdleLatency:
    """Approve plans one by one, with the system idle between them, and tell how soon their jobs start."""
    chance = random.Random(count)
    seconds = []
    for _ in range(count):
        body = ready_plan(chance, "amazon", tasks=TASKS)
        plan_id = client.call("POST", "/api/marketplace/analysis/import", body)["planId"]
        time.sleep(chance.uniform(*_IDLE_PAUSE_SECONDS))
        job_id = client.call("PATCH", f"/api/marketplace/analysis/{plan_id}", {"action": "approve"})["jobId"]
        seconds.append(_seconds(_completed(client, job_id), "createdAt", "startedAt"))
    with redis.Redis.from_url(redis_url) as server:
        before = server.info("stats")["total_commands_processed"]
        time.sleep(_COUNT_SECONDS)
        # The second INFO is ours, not the stack's.
        commands = server.info("stats")["total_commands_processed"] - before - 1
    return IdleLatency(
        start_p50=quantile(seconds, 0.5) or 0.0,
        start_p99=quantile(seconds, 0.99) or 0.0,
        start_max=max(seconds),
        redis_commands_per_second=commands / _COUNT_SECONDS,
    )


def steady_section(measured: Mapping[str, Latency], *, rate: float, count: int) -> Section:
    """Return what the runs at a steady rate found."""
    return Section(
        "latency",
        f"Approval to completion, {count} approvals at {rate:g} per second",
        ("Database", "Rate reached", "Approve p50", "Approve p99", "Completed p50", "Completed p99"),
        [
            (
                database,
                f"{found.rate:.1f}/s",
                milliseconds(found.approve_p50),
                milliseconds(found.approve_p99),
                milliseconds(found.completion_p50),
                milliseconds(found.completion_p99),
            )
            for database, found in measured.items()
        ],
        {database: asdict(found) for database, found in measured.items()},
        [
            f"completion at {rate:g}/s on {database}: p99 {milliseconds(found.completion_p99)}, "
            f"at most {milliseconds(STEADY_P99_SECONDS)} expected"
            for database, found in measured.items()
            if found.completion_p99 > STEADY_P99_SECONDS
        ],
    )


def idle_section(measured: Mapping[str, IdleLatency], *, count: int) -> Section:
    """Return what the idle runs found."""
    return Section(
        "idle",
        f"Approval to start on an idle system, {count} approvals one by one",
        ("Database", "Started p50", "Started p99", "Started max", "Redis commands of the idle stack"),
        [
            (
                database,
                milliseconds(found.start_p50),
                milliseconds(found.start_p99),
                milliseconds(found.start_max),
                f"{found.redis_commands_per_second:.0f}/s",
            )
            for database, found in measured.items()
        ],
        {database: asdict(found) for database, found in measured.items()},
        [
            f"start on an idle system on {database}: p50 {milliseconds(found.start_p50)}, "
            f"at most {milliseconds(IDLE_P50_SECONDS)} expected"
            for database, found in measured.items()
            if found.start_p50 > IDLE_P50_SECONDS
        ],
    )


@contextmanager
def running_stack(directory: Path, database_url: str, redis_url: str, **settings: str) -> Iterator[Client]:
    """Yield a client of a stack of its own on these servers."""
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "PORT": str(free_port()),
        "MARKETPLACE_WEB__RATE_LIMIT_PER_MINUTE": "0",
        **settings,
    }
    command = [str(Path(sys.executable).parent / "marketplace"), "run", "--no-observe", "--data-dir", str(directory)]
    with (directory.parent / "stack.log").open("ab") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        with ended(process, seconds=60):
            facts = directory / "run.json"
            wait_until(lambda: facts.is_file() and process.poll() is None, seconds=60, what="the stack")
            url = json.loads(facts.read_text())["urls"]["web"]
            yield Client(url, (directory / "admin-token").read_text().strip())


def _at_its_time(client: Client, started: float, rate: float) -> Callable[[tuple[int, str]], tuple[str, float]]:
    def approve(numbered: tuple[int, str]) -> tuple[str, float]:
        position, plan_id = numbered
        time.sleep(max(0.0, started + position / rate - time.perf_counter()))
        sent = time.perf_counter()
        answer = client.call("PATCH", f"/api/marketplace/analysis/{plan_id}", {"action": "approve"})
        return answer["jobId"], time.perf_counter() - sent

    return approve


def _completed(client: Client, job_id: str) -> dict[str, Any]:
    def ended_job() -> dict[str, Any] | None:
        job = client.call("GET", f"/api/marketplace/jobs/{job_id}")
        return job if job["status"] in {"completed", "failed"} else None

    job = wait_until(ended_job, seconds=60, what=f"job {job_id}")
    assert job is not None
    assert job["status"] == "completed", job
    return job


def _seconds(job: Mapping[str, Any], start: str, end: str) -> float:
    """Return the time between two moments of a job, by the product's own clock, in whole milliseconds."""
    return (datetime.fromisoformat(job[end]) - datetime.fromisoformat(job[start])).total_seconds()


def _quantiles(name: str, seconds: Sequence[float]) -> dict[str, float]:
    return {f"{name}_p{percent}": quantile(seconds, percent / 100) or 0.0 for percent in (50, 99)}
