"""Jobs side by side, or one of them alone: how a quarantine worker finds out which one kills its process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Isolation:
    """The places of threads that run jobs; a job that runs alone takes all of them.

    `places` is how many there are.
    """

    def __init__(self, places: int) -> None:
        self._count = places
        self._free = threading.Semaphore(places)
        # Held while one waits for its places: those who come later must not take them from under one that needs all.
        self._turn = threading.Lock()
        self._closed = False

    @contextmanager
    def enter(self, *, alone: bool) -> Iterator[bool]:
        """Wait for a place, or for all of them; True while it is held, False when nothing may begin any more."""
        needed = self._count if alone else 1
        with self._turn:
            for _ in range(needed):
                self._free.acquire()
        try:
            yield not self._closed
        finally:
            self._free.release(needed)

    def close(self) -> None:
        """Let nothing begin any more: the process stops."""
        self._closed = True
