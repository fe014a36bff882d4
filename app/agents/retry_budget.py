"""Retry budget of one agent: an outage must not multiply the calls to it.

docs/decisions/retry-budget.md
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

#: Credit that is not used fades with this time constant, in seconds: longer than the pauses before all retries of a job
#: together, so that they find what its first call has paid in; short enough that a quiet day pays for no storm.
MEMORY_SECONDS = 60.0


class RetryBudget:
    """Decides which retries of calls are made; safe to use from many threads.

    Each first call pays in `ratio`, each second `reserve_per_second`; each retry takes 1 or is refused. A process that
    has run for T seconds has therefore made at most `ratio` x first calls + `reserve_per_second` x (T +
    `MEMORY_SECONDS`) retries.

    Source: Finagle's RetryBudget (https://finagle.github.io/blog/2016/02/08/retry-budgets), with fading in place of
    expiry.
    """

    def __init__(self, ratio: float, reserve_per_second: float, *, now: Callable[[], float] = time.monotonic) -> None:
        self._ratio = ratio
        self._reserve = reserve_per_second * MEMORY_SECONDS
        self._now = now
        self._balance = self._reserve
        self._at = now()
        self._guard = threading.Lock()

    def deposit(self) -> None:
        """Note a first call."""
        with self._guard:
            self._fade()
            self._balance += self._ratio

    def withdraw(self) -> bool:
        """Tell whether a retry may be made, and note it if so."""
        with self._guard:
            self._fade()
            if self._balance < 1:
                return False
            self._balance -= 1
            return True

    def _fade(self) -> None:
        now = self._now()
        kept = math.exp((self._at - now) / MEMORY_SECONDS)
        self._balance = self._balance * kept + self._reserve * (1 - kept)
        self._at = now
