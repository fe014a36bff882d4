"""What all users of a load run share: a token, patience with 429, and the wait for a job to end."""

from __future__ import annotations

import os
import random
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

import gevent
from locust import between
from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment

#: A job that has not ended after this many seconds is a failure for the user who waits for it.
_PATIENCE_SECONDS = 60.0

#: As people poll: the acceptance test of the job queue asks every 500 ms.
POLL_SECONDS = 0.5

#: How often a request that is answered 429 is sent.
MOST_TRIES = 5

#: Longest pause after 429, in seconds, whatever the server asks for.
LONGEST_PAUSE_SECONDS = 10.0


class TaskFailedError(Exception):
    """The user gives up on what it was doing; the failure is counted already."""


class Person(FastHttpUser):
    """Somebody who uses the product over HTTP."""

    abstract = True
    wait_time = between(0.1, 0.5)
    network_timeout = 15.0
    connection_timeout = 5.0

    def __init__(self, environment: Environment) -> None:
        self.default_headers = {"Authorization": f"Bearer {token()}"}
        self.chance = random.Random()
        super().__init__(environment)

    def call(
        self, method: str, path: str, *, name: str, status: HTTPStatus | tuple[HTTPStatus, ...], json: object = None
    ) -> dict[str, Any]:
        """Return the answer; 429 is waited for and repeated, any other status than these ends the task."""
        expected = status if isinstance(status, tuple) else (status,)
        for _ in range(MOST_TRIES):
            with self.client.request(method, path, json=json, name=name, catch_response=True) as response:
                if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
                    response.success()
                    gevent.sleep(pause_after(response.headers.get("Retry-After")))
                    continue
                if response.status_code not in expected:
                    wanted = " or ".join(str(one.value) for one in expected)
                    response.failure(f"{response.status_code} instead of {wanted}")
                    raise TaskFailedError
                response.success()
                answer: dict[str, Any] = response.json()
                return answer
        self.fail(name, "rate limited again and again")
        raise TaskFailedError

    def wait_for(self, job_id: str, *, kind: str) -> None:
        """Poll a job to its end; the wait itself becomes a line of the statistics."""
        started = time.perf_counter()
        while True:
            job = self.call(
                "GET", f"/api/marketplace/jobs/{job_id}", name="/api/marketplace/jobs/{jobId}", status=HTTPStatus.OK
            )
            waited = time.perf_counter() - started
            if job["status"] == "completed":
                self.environment.events.request.fire(
                    request_type="JOB", name=kind, response_time=waited * 1000, response_length=0, exception=None
                )
                return
            if job["status"] == "failed" or waited > _PATIENCE_SECONDS:
                self.fail(kind, f"{job['status']} after {waited:.0f} s: {job.get('error')}")
                raise TaskFailedError
            gevent.sleep(POLL_SECONDS)

    def fail(self, name: str, reason: str) -> None:
        """Count a failure that is not one of a single request."""
        self.environment.events.request.fire(
            request_type="JOB", name=name, response_time=0, response_length=0, exception=RuntimeError(reason)
        )


def pause_after(retry_after: str | None) -> float:
    """Return the seconds to wait after 429, given its `Retry-After`."""
    return min(float(retry_after or 1), LONGEST_PAUSE_SECONDS)


def token() -> str:
    """Return the token that the environment gives."""
    given = os.environ.get("MARKETPLACE_TOKEN")
    if given:
        return given
    return Path(os.environ["MARKETPLACE_TOKEN_FILE"]).read_text(encoding="utf-8").strip()
