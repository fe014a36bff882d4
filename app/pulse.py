"""Whether a loop still goes round."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pulse:
    """Tells whether a loop still goes round: it calls this on its way, at least every `limit_seconds`."""

    def __init__(self, limit_seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_seconds = limit_seconds
        self._clock = clock
        self._at = clock()

    def __call__(self) -> None:
        """Note that the loop goes on."""
        self._at = self._clock()

    @property
    def is_felt(self) -> bool:
        """Whether the loop went on within the limit."""
        return self._clock() - self._at < self._limit_seconds
