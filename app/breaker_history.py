"""Writes every change of a circuit's state into the database, without making the call that caused it wait."""

from __future__ import annotations

import queue
import threading

import structlog

from app.breakers.circuit_view import Turn
from app.domain.errors import DatabaseUnavailableError
from app.live_metrics import LiveMetrics
from app.metrics import ERRORS
from app.storage.breaker_transitions import keep_turn
from app.storage.database import Database

_log = structlog.stdlib.get_logger(__name__)

#: While the database does not answer, a change is written again after this pause, and so many wait at most.
_PAUSE_SECONDS = 1.0
_MOST_WAITING = 1000

#: What is left gets this long when the process ends.
_LAST_SECONDS = 2.0


class BreakerHistory:
    """Keeps what it is told, one after the other, on a thread of its own that the first change starts."""

    def __init__(self, database: Database, metrics: LiveMetrics) -> None:
        self._database = database
        self._metrics = metrics
        self._waiting: queue.Queue[Turn | None] = queue.Queue(_MOST_WAITING)
        self._stopped = threading.Event()
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self._write_for_ever, name="breaker-history", daemon=True)

    def keep(self, turn: Turn) -> None:
        """Have this change written soon."""
        with self._guard:
            if self._thread.ident is None:
                self._thread.start()
        self._put(turn)

    def close(self) -> None:
        """Write what is left, if the database lets it."""
        if self._thread.ident is not None:
            self._stopped.set()
            self._put(None)
            self._thread.join(_LAST_SECONDS)

    def _put(self, turn: Turn | None) -> None:
        try:
            self._waiting.put_nowait(turn)
        except queue.Full:
            _log.error("circuit_turn_not_kept", agent=None if turn is None else turn.agent)

    def _write_for_ever(self) -> None:
        while True:
            turn = self._waiting.get()
            if turn is None:
                return
            while not self._is_written(turn):
                if self._stopped.wait(_PAUSE_SECONDS):
                    _log.error("circuit_turn_not_kept", agent=turn.agent)
                    break

    def _is_written(self, turn: Turn) -> bool:
        """Write a change; False when it must be tried again."""
        try:
            with self._database.write() as connection:
                keep_turn(connection, turn)
        except DatabaseUnavailableError as error:
            _log.warning("circuit_turn_waits", agent=turn.agent, reason=str(error))
            return False
        except Exception:  # noqa: BLE001 -- the edge of the thread: the next change must be written
            self._metrics.count(ERRORS, place="breakers")
            _log.exception("circuit_turn_not_kept", agent=turn.agent)
        return True
