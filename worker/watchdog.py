"""The watchdog: knows whether this process is well, and ends it when it is not.

A process whose threads have died looks alive to whoever started it, and does nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import structlog

_log = structlog.stdlib.get_logger(__name__)

#: Seconds between two looks.
_LOOK_SECONDS = 1.0

#: Looks in a row that must find problems: a process that was frozen, or starved, is late with everything at first.
_LOOKS = 3


class Watchdog:
    """Looks at the process from a thread of its own.

    `examine` returns what is wrong and asks no other system; `give_up` is called once, when problems last.
    """

    def __init__(
        self,
        examine: Callable[[], Sequence[str]],
        *,
        give_up: Callable[[Sequence[str]], object],
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._examine = examine
        self._give_up = give_up
        self._look_seconds = look_seconds
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stand_down(self) -> None:
        """Find nothing any more: the process ends, and its threads with it."""
        self._ending.set()

    def problems(self) -> Sequence[str]:
        """Return what is wrong now."""
        if self._ending.is_set():
            return []
        if not self._thread.is_alive():
            return ["the watchdog is dead"]
        try:
            return self._examine()
        except Exception:  # noqa: BLE001 -- the edge of the thread: a defect here must not look like health
            _log.exception("examination_failed")
            return ["the examination failed"]

    def _watch(self) -> None:
        looks = 0
        while not self._ending.wait(self._look_seconds):
            problems = self.problems()
            looks = looks + 1 if problems else 0
            if problems:
                _log.error("process_unwell", problems=problems, looks=looks)
            if looks == _LOOKS:
                self._give_up(problems)
                return
