"""The log of calls to agents: kept in memory for a moment, and written in the background.

No call waits for it, and none fails with it; what a killed process had not written is lost.
"""

from __future__ import annotations

import threading
from collections import deque

import structlog

from app.domain.agent_timeouts import AgentCall
from app.domain.errors import MarketplaceError
from app.live_metrics import LiveMetrics
from app.metrics import AGENT_OUTCOMES, ERRORS
from app.storage.agent_calls import insert_calls
from app.storage.database import Database

_log = structlog.stdlib.get_logger(__name__)

#: While the database does not answer, so many calls are kept; then the oldest are dropped.
_MOST_WAITING = 1000

#: Pause between two writes, so that the calls of one analysis become one transaction.
_GATHER_SECONDS = 0.2
#: Pause after a write that failed.
_AGAIN_SECONDS = 2.0

#: How long the end of a process waits for the last write.
_CLOSE_SECONDS = 2.0


class AgentCallLog:
    """Writes calls to the database on a thread of its own, which the first call starts; safe to use from many."""

    def __init__(self, database: Database, metrics: LiveMetrics) -> None:
        self._database = database
        self._metrics = metrics
        self._waiting: deque[AgentCall] = deque(maxlen=_MOST_WAITING)
        self._guard = threading.Lock()
        self._writing = threading.Lock()
        self._some = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, call: AgentCall) -> None:
        """Note a call; never waits, never raises. What was no call, as its configuration forbade it, is not kept."""
        if call.outcome not in AGENT_OUTCOMES:
            return
        with self._guard:
            self._waiting.append(call)
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_for_ever, name="agent-calls", daemon=True)
                self._thread.start()
        self._some.set()

    def flush(self) -> None:
        """Write what waits.

        Raises:
            DatabaseUnavailableError: Nothing was written; it still waits.
        """
        with self._writing:
            with self._guard:
                calls = list(self._waiting)
                self._waiting.clear()
            if not calls:
                return
            try:
                with self._database.write() as connection:
                    insert_calls(connection, calls)
            except MarketplaceError:
                with self._guard:
                    # Newer ones may have come, and those that are too many fall out at the old end.
                    self._waiting = deque([*calls, *self._waiting], maxlen=_MOST_WAITING)
                raise

    def close(self) -> None:
        """Write what waits, if the database answers soon, and stop."""
        self._stopped.set()
        self._some.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)

    def _write_for_ever(self) -> None:
        while True:
            self._some.wait()
            self._stopped.wait(_GATHER_SECONDS)
            self._some.clear()
            last = self._stopped.is_set()
            try:
                self.flush()
            except MarketplaceError as error:
                _log.warning("agent_calls_not_written", error_code=error.code, reason=str(error))
                self._some.set()
                self._stopped.wait(_AGAIN_SECONDS)
            except Exception:  # noqa: BLE001 -- the edge of the thread: it must go on writing
                self._metrics.count(ERRORS, place="agent_calls")
                _log.exception("agent_calls_failed")
            if last:
                return
