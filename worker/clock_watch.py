"""The clock watch: notices when the database's clock was set, before leases and due times are read by it.

docs/reference/job-protocol.md, T8e. The database's clock is the one that counts: the host's for SQLite, the server's
for PostgreSQL.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import structlog

from app.live_metrics import LiveMetrics
from app.metrics import CLOCK_JUMPS
from app.settings import JobSettings
from app.storage.clock import database_now
from app.storage.clock_jumps import extend_leases, renew_times
from app.storage.database import Database

_log = structlog.stdlib.get_logger(__name__)

#: A clock that moves by more than this against the monotonic one was set, in seconds.
_JUMP_SECONDS = 5.0

#: Reading the clock takes milliseconds. A look that took longer than this was stopped in the middle, and says nothing.
_LOOK_SECONDS = 1.0

#: Leases are extended at most this often, in seconds: a host that is paused again and again looks like a clock that
#: jumps again and again, and must not keep dead runs alive.
_EXTEND_SECONDS = 60.0


class ClockWatch:
    """Compares the database's clock with one that nobody can set; for one thread.

    A process that is stopped sees both clocks move, and notices nothing. One whose whole machine sleeps may see only
    the database's move: then leases are extended once, and the dead are found one lease later.
    """

    def __init__(
        self,
        database: Database,
        settings: JobSettings,
        metrics: LiveMetrics,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._settings = settings
        self._metrics = metrics
        self._monotonic = monotonic
        self._offset: float | None = None
        self._extended_at = -math.inf

    def settle(self) -> bool:
        """Make good what a set clock has done to open jobs; tell whether it was set since the last call.

        Raises:
            DatabaseUnavailableError: Nothing was done; the next call notices the same.
        """
        before = self._monotonic()
        with self._database.read() as connection:
            now = database_now(connection).timestamp()
        after = self._monotonic()
        if after - before > _LOOK_SECONDS:
            return False
        jumped = 0.0 if self._offset is None else now - after - self._offset
        if abs(jumped) > _JUMP_SECONDS:
            self._make_good(jumped)
        self._offset = now - after
        return abs(jumped) > _JUMP_SECONDS

    def _make_good(self, jumped: float) -> None:
        forward = jumped > 0
        extend = self._monotonic() - self._extended_at > _EXTEND_SECONDS
        with self._database.write() as connection:
            leases = extend_leases(connection, lease_seconds=self._settings.lease_seconds) if extend else 0
            waiting = renew_times(connection, self._settings, forward=forward)
        if extend:
            self._extended_at = self._monotonic()
        self._metrics.count(CLOCK_JUMPS, direction="forward" if forward else "backward")
        _log.error("clock_jumped", seconds=round(jumped, 1), leases_extended=leases, jobs_renewed=waiting)
