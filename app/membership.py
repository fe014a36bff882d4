"""This process among the others: its file on its host, its row in the database, and what dead ones have left."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from app.domain.errors import DatabaseUnavailableError
from app.job_runs import Heartbeat
from app.live_metrics import LiveMetrics
from app.presence import Presence
from app.reaping import reap_dead
from app.storage.database import Database
from app.storage.processes import remove_process

_log = structlog.stdlib.get_logger(__name__)

#: Seconds between two signs of being well; the supervisor of one machine waits for ten of them.
_BEAT_SECONDS = 1.0


class Membership:
    """Joins and leaves; `heartbeat` shows the process in the database for as long as it belongs."""

    def __init__(
        self, database: Database, presence: Presence, heartbeat: Heartbeat, metrics: LiveMetrics, *, crash_limit: int
    ) -> None:
        self._database = database
        self._presence = presence
        self._heartbeat = heartbeat
        self._metrics = metrics
        self._crash_limit = crash_limit
        self._guard = threading.Lock()
        self._joined = False
        self._left = threading.Event()

    def join(self, is_well: Callable[[], bool]) -> None:
        """Show this process, and give back what dead ones of its host held; the tables must be there.

        `is_well` is asked every second, and must answer at once. A process that is not well for 10 s is taken for
        frozen.
        """
        with self._guard:
            if self._left.is_set():
                return
            self._joined = True
            self._presence.enter()
            # Not in the heartbeat's thread: that one may wait for the database, and a process that waits is well.
            threading.Thread(target=self._beat, args=(is_well,), name="presence", daemon=True).start()
            try:
                self.give_back_dead()
            except DatabaseUnavailableError as error:
                _log.warning("dead_not_given_back", reason=str(error))
            self._heartbeat.start()

    def give_back_dead(self) -> int:
        """Take back at once what dead processes of this host held; return how many jobs.

        Raises:
            DatabaseUnavailableError: The dead are found again at the next call.
        """
        return reap_dead(self._database, self._metrics, self._presence.directory, crash_limit=self._crash_limit)

    def leave(self) -> None:
        """Take this process away from the others; it holds nothing any more."""
        with self._guard:
            if self._joined and not self._left.is_set():
                self._heartbeat.stop()
                try:
                    with self._database.write() as connection:
                        remove_process(connection, self._presence.owner)
                except DatabaseUnavailableError as error:
                    _log.warning("process_not_removed", reason=str(error))
                self._presence.leave()
            self._left.set()

    def _beat(self, is_well: Callable[[], bool]) -> None:
        while not self._left.is_set():
            if is_well():
                self._presence.beat()
            self._left.wait(_BEAT_SECONDS)
