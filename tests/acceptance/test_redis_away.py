"""An outage of Redis as the product's processes live through it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.pipeline import PLAN
from tests.raw_server import RawServer, raw_server
from tests.servers import ended, free_port, running_valkey, wait_until
from tests.web_process import MARKETPLACE, Web, environment, running_web

pytestmark = pytest.mark.process

ANALYSIS = "/api/marketplace/analysis"

#: A plan that leaves its tasks to the agent.
OPEN_PLAN = {"summary": "Sell more shoes", "phases": []}

ANSWER = json.dumps({"plan": PLAN}).encode()


def call(web: Web, method: str, path: str, body: object = None) -> requests.Response:
    return requests.request(method, web.url + path, json=body, headers=web.headers, timeout=30)


def imported(web: Web, plan: object = None) -> str:
    body = {"title": "Shoes", "channels": ["amazon"], "planData": plan or PLAN}
    return str(call(web, "POST", f"{ANALYSIS}/import", body).json()["planId"])


def approved(web: Web, plan: object = None) -> dict[str, Any]:
    answer: dict[str, Any] = call(web, "PATCH", f"{ANALYSIS}/{imported(web, plan)}", {"action": "approve"}).json()
    return answer


def job(web: Web, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = call(web, "GET", f"/api/marketplace/jobs/{job_id}").json()
    return found


@contextmanager
def running_scheduler(database_url: str, redis_url: str, directory: Path) -> Iterator[None]:
    given = environment(DATABASE_URL=database_url, REDIS_URL=redis_url)
    with (directory / "scheduler.log").open("wb") as output:
        process = subprocess.Popen([MARKETPLACE, "scheduler"], env=given, stdout=output, stderr=output)
    with ended(process):
        yield
        assert process.poll() is None
    assert process.returncode == 0


def test_all_jobs_are_done_while_redis_is_still_away_and_the_queue_is_used_again_when_it_is_back(
    database_url: str, tmp_path: Path
) -> None:
    server = partial(running_valkey, tmp_path / "valkey", port=free_port(), password="of-this-test")
    with server() as url:
        pass
    with running_scheduler(database_url, url, tmp_path), running_web(database_url, url, tmp_path) as web:
        plan_ids = [imported(web) for _ in range(30)]

        def approve(plan_id: str) -> dict[str, Any]:
            answer: dict[str, Any] = call(web, "PATCH", f"{ANALYSIS}/{plan_id}", {"action": "approve"}).json()
            return answer

        with ThreadPoolExecutor(12) as callers:
            answers = list(callers.map(approve, plan_ids))

        def completed() -> bool:
            return {job(web, answer["jobId"])["status"] for answer in answers} == {"completed"}

        wait_until(completed, seconds=60, what="all jobs, without Redis")
        attempts = [attempt for answer in answers for attempt in job(web, answer["jobId"])["attempts"]]
        assert len(attempts) == 30
        assert {attempt["via"] for attempt in attempts} <= {"sync", "fallback"}
        with server():
            wait_until(lambda: approved(web)["mode"] == "queue", what="the queue")


def test_what_the_api_had_no_room_for_is_run_by_the_scheduler(database_url: str, tmp_path: Path) -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    full = {"MARKETPLACE_WEB__IN_PLACE_RUNS": "0"}
    with running_scheduler(database_url, url, tmp_path), running_web(database_url, url, tmp_path, **full) as web:
        answers = [approved(web) for _ in range(10)]
        assert {(answer["status"], answer["mode"]) for answer in answers} == {("pending", "queue")}
        for answer in answers:
            wait_until(
                lambda job_id=answer["jobId"]: job(web, job_id)["status"] == "completed",  # type: ignore[misc]  # bound now
                seconds=60,
                what="a job",
            )
        assert {job(web, answer["jobId"])["attempts"][0]["via"] for answer in answers} == {"fallback"}


@contextmanager
def slow_agent() -> Iterator[tuple[RawServer, threading.Event]]:
    """Yield an agent that answers when the event is set, or not at all."""
    may_answer = threading.Event()

    def script(connection: socket.socket, ending: threading.Event) -> None:
        while not may_answer.wait(0.05):
            if ending.is_set():
                return
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(ANSWER)}\r\n\r\n"
        connection.sendall(head.encode() + ANSWER)

    with raw_server(script) as server:
        yield server, may_answer


@contextmanager
def web_with_agent(database_url: str, directory: Path, agent: RawServer, grace: int) -> Iterator[Web]:
    """Yield a web process without Redis whose one agent this is."""
    agents = [{"name": "amazon", "channel": "amazon", "protocol": "http", "url": agent.url, "timeout_seconds": 60}]
    settings = {
        "MARKETPLACE_AGENTS__ITEMS": json.dumps(agents),
        "MARKETPLACE_OUTBOUND__ALLOW_PRIVATE_AGENTS": "true",
        "MARKETPLACE_JOBS__PHASE1_ATTEMPT_SECONDS": "60",
        "MARKETPLACE_WEB__GRACEFUL_TIMEOUT_SECONDS": str(grace),
        # Late enough for a busy machine to have begun the job.
        "MARKETPLACE_WEB__IN_PLACE_WAIT_SECONDS": "2",
    }
    with running_web(database_url, f"redis://127.0.0.1:{free_port()}/0", directory, **settings) as web:
        yield web


def test_at_sigterm_a_job_in_place_may_end(database_url: str, tmp_path: Path) -> None:
    with slow_agent() as (agent, may_answer):
        with web_with_agent(database_url, tmp_path, agent, grace=20) as web:
            answer = approved(web, OPEN_PLAN)
            assert (answer["status"], answer["mode"]) == ("active", "sync")
            wait_until(lambda: agent.requests, what="the question")
            web.process.send_signal(signal.SIGTERM)
            may_answer.set()
            assert web.process.wait(30) == 0
        with web_with_agent(database_url, tmp_path, agent, grace=20) as web:
            assert [attempt["outcome"] for attempt in job(web, answer["jobId"])["attempts"]] == ["completed"]


def test_at_sigterm_a_job_in_place_that_does_not_end_is_given_back(database_url: str, tmp_path: Path) -> None:
    with slow_agent() as (agent, _):
        with web_with_agent(database_url, tmp_path, agent, grace=4) as web:
            answer = approved(web, OPEN_PLAN)
            wait_until(lambda: agent.requests, what="the question")
            started = time.monotonic()
            web.process.send_signal(signal.SIGTERM)
            assert web.process.wait(30) == 0
            assert time.monotonic() - started < 20
        with web_with_agent(database_url, tmp_path, agent, grace=4) as web:
            found = job(web, answer["jobId"])
        assert (found["status"], [attempt["outcome"] for attempt in found["attempts"]]) == ("pending", ["released"])
