"""The ticker: lets time pass, about once a second, and can be watched."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import structlog

from app.domain.errors import DatabaseUnavailableError
from app.live_metrics import LiveMetrics
from app.metrics import ERRORS
from app.pulse import Pulse

_log = structlog.stdlib.get_logger(__name__)

_EVERY_SECONDS = 1.0

#: A tick may wait for a locked file, several times; then it hangs.
_LIMIT_SECONDS = 30.0


#: A chore that takes longer at the end waits for a file that others hold; nothing is lost without it.
_END_SECONDS = 1.0


class Ticker:
    """Does all chores again and again, on one thread; one that fails does not keep the others from being done."""

    def __init__(self, chores: Mapping[str, Callable[[], object]], metrics: LiveMetrics) -> None:
        self._chores = chores
        self._metrics = metrics
        self._pulse = Pulse(_LIMIT_SECONDS)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the chore that is being done."""
        self._stop.set()
        self._thread.join(_END_SECONDS)

    def problems(self) -> list[str]:
        """Return what is wrong with the thread."""
        return [] if self._pulse.is_felt and self._thread.is_alive() else ["the ticker hangs"]

    def _run(self) -> None:
        while not self._stop.is_set():
            for name, chore in self._chores.items():
                self._pulse()
                self._do(name, chore)
            self._stop.wait(_EVERY_SECONDS)

    def _do(self, name: str, chore: Callable[[], object]) -> None:
        try:
            chore()
        except DatabaseUnavailableError as error:
            _log.warning("relay_chore_failed", chore=name, error_code=error.code, error=str(error))
        except Exception:  # noqa: BLE001 -- the edge of a chore: the others must go on
            self._metrics.count(ERRORS, place="relay_tick")
            _log.exception("relay_chore_raised", chore=name)
