"""Latency from approval to completion at a steady rate, over HTTP, against the stack that `marketplace run` starts."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from loadtest.plans import ready_plan
from loadtest.verdict import quantile
from tests.bench.seeding import TASKS
from tests.servers import ended, free_port, wait_until

#: Approvals that may be under way at once; far more than the rate needs.
_SENDERS = 32


@dataclass(frozen=True)
class Latency:
    """Seconds. `rate` is what was reached: approvals per second over the whole run."""

    rate: float
    approve_p50: float
    approve_p99: float
    completion_p50: float
    completion_p99: float


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
        completions = list(pool.map(lambda approval: _completion_seconds(client, approval[0]), approvals))
    return Latency(
        rate=reached, **_quantiles("approve", [s for _, s in approvals]), **_quantiles("completion", completions)
    )


@contextmanager
def running_stack(directory: Path, database_url: str, redis_url: str) -> Iterator[Client]:
    """Yield a client of a stack of its own on these servers."""
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "PORT": str(free_port()),
        "MARKETPLACE_WEB__RATE_LIMIT_PER_MINUTE": "0",
    }
    command = [str(Path(sys.executable).parent / "marketplace"), "run", "--data-dir", str(directory)]
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


def _completion_seconds(client: Client, job_id: str) -> float:
    def ended_job() -> dict[str, Any] | None:
        job = client.call("GET", f"/api/marketplace/jobs/{job_id}")
        return job if job["status"] in {"completed", "failed"} else None

    job = wait_until(ended_job, seconds=60, what=f"job {job_id}")
    assert job is not None
    assert job["status"] == "completed", job
    return (datetime.fromisoformat(job["completedAt"]) - datetime.fromisoformat(job["createdAt"])).total_seconds()


def _quantiles(name: str, seconds: Sequence[float]) -> dict[str, float]:
    return {f"{name}_p{percent}": quantile(seconds, percent / 100) or 0.0 for percent in (50, 99)}
