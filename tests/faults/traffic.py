"""Approvals as clients send them: at a steady rate, and again when no answer came."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import requests

from loadtest.plans import ready_plan

_SENDERS = 24
#: Each answer within this, else the client asks again.
_TIMEOUT_SECONDS = 10.0
#: A client that has had no answer for so long is a failure of the run.
_PATIENCE_SECONDS = 120.0
_PAUSE_SECONDS = 0.3


@dataclass(frozen=True)
class Approved:
    """One approval: which job it got, how often it was sent, and the seconds of the answer that counted."""

    plan_id: str
    job_id: str
    tries: int
    seconds: float


class Traffic:
    """Imports plans whose Phase 1 an agent must answer, then approves them by the clock."""

    def __init__(self, url: str, token: str, channel: str) -> None:
        self._url = f"{url}/api/marketplace/analysis"
        self._token = token
        self._channel = channel
        self._local = threading.local()
        self._done = 0
        self._guard = threading.Lock()

    @property
    def approved(self) -> int:
        """How many approvals have been answered."""
        return self._done

    def import_plans(self, count: int) -> list[str]:
        """Bring in plans without a phase 1, and return their ids."""
        chance = random.Random(count)
        bodies = [ready_plan(chance, self._channel, tasks=1) for _ in range(count)]
        for body in bodies:
            body["planData"]["phases"] = []  # type: ignore[index]  # it is a plan
        with ThreadPoolExecutor(_SENDERS) as pool:
            return [str(answer["planId"]) for answer in pool.map(lambda body: self._send("/import", body), bodies)]

    def approve(
        self, plan_ids: Sequence[str], *, rate: float, after: Callable[[str, str], None] = lambda _plan, _job: None
    ) -> list[Approved]:
        """Approve every plan, `rate` a second; `after` is called with plan and job of each."""
        started = time.monotonic()

        def approve(numbered: tuple[int, str]) -> Approved:
            position, plan_id = numbered
            time.sleep(max(0.0, started + position / rate - time.monotonic()))
            approval = self._approve(plan_id)
            after(plan_id, approval.job_id)
            with self._guard:
                self._done += 1
            return approval

        with ThreadPoolExecutor(_SENDERS) as pool:
            return list(pool.map(approve, enumerate(plan_ids)))

    def _approve(self, plan_id: str) -> Approved:
        end, tries = time.monotonic() + _PATIENCE_SECONDS, 0
        while True:
            tries += 1
            sent = time.monotonic()
            try:
                answer = self._send(f"/{plan_id}", {"action": "approve"}, method="PATCH")
            except requests.RequestException as error:
                # An answer that breaks off is none.
                refused = isinstance(error, requests.HTTPError) and error.response.status_code < 500
                if refused or time.monotonic() > end:
                    raise
                time.sleep(_PAUSE_SECONDS)
                continue
            return Approved(plan_id, str(answer["jobId"]), tries, time.monotonic() - sent)

    def _send(self, path: str, body: object, *, method: str = "POST") -> dict[str, object]:
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.trust_env = False
            session.headers["Authorization"] = f"Bearer {self._token}"
        reply = session.request(method, self._url + path, json=body, timeout=_TIMEOUT_SECONDS)
        reply.raise_for_status()
        answer: dict[str, object] = reply.json()
        return answer
