"""A steady, healthy load: plans that are approved and analyses that are asked for, at fixed moments."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from app.cli.remote import Remote
from app.domain.errors import MarketplaceError
from deploy.local.agents_program import CHANNELS
from deploy.local.story_plans import PLAIN, WITHOUT_PHASE_1
from tests.stacks import RunningStack, approve, import_plan

#: Every so many plans, one has no first phase: its agent is asked. Another one is an analysis by all agents.
_CYCLE = 10
#: Callers at the same time; a call takes some milliseconds.
_CALLERS = 8


@dataclass
class Sent:
    """What has been sent so far."""

    plans: int = 0
    analyses: int = 0
    errors: int = 0


class SteadyLoad:
    """Sends `per_second` jobs per second to a stack until `seconds` have passed or `stop` is set."""

    def __init__(self, stack: RunningStack, *, per_second: float, seconds: float) -> None:
        self._url, self._token = stack.facts["urls"]["web"], stack.token
        self._every = 1.0 / per_second
        self._count = round(per_second * seconds)
        self._here = threading.local()
        self._lock = threading.Lock()
        self.sent = Sent()

    def run(self, stop: threading.Event) -> None:
        """Send everything, each at its moment: one that is late is not left out."""
        started_at = time.monotonic()
        with ThreadPoolExecutor(_CALLERS) as callers:
            for number in range(self._count):
                if stop.wait(max(0.0, started_at + number * self._every - time.monotonic())):
                    return
                callers.submit(self._send, number)

    def _send(self, number: int) -> None:
        try:
            name = self._send_one(self._remote(), number)
        except MarketplaceError:
            name = "errors"
        with self._lock:
            setattr(self.sent, name, getattr(self.sent, name) + 1)

    def _send_one(self, api: Remote, number: int) -> str:
        channel = CHANNELS[number % len(CHANNELS)]
        if number % _CYCLE == 0:
            api.post("analysis", {"title": f"Look {number}", "channels": list(CHANNELS)})
            return "analyses"
        plan = WITHOUT_PHASE_1 if number % _CYCLE == 1 else PLAIN
        approve(api, import_plan(api, f"Plan {number}", channel, plan))
        return "plans"

    def _remote(self) -> Remote:
        # A session belongs to one thread.
        if not hasattr(self._here, "api"):
            self._here.api = Remote(self._url, self._token, direct=True)
        api: Remote = self._here.api
        return api
