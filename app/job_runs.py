"""Runs that this process holds, and the heartbeat that keeps their leases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Connection

from app.domain.deadline import Deadline
from app.domain.errors import DatabaseUnavailableError, FencedError, MarketplaceError
from app.live_metrics import LiveMetrics
from app.metrics import ERRORS
from app.storage.database import Database
from app.storage.transitions import Claim, beat

_log = structlog.stdlib.get_logger(__name__)


@dataclass(eq=False)
class JobRun:
    """One run of a job, from its claim to its end.

    `deadline` is the end of the attempt: every call inside honours it. `will_retry` tells whether this error would be
    followed by another attempt; `may_postpone` whether another one may do all the work, because an agent is busy.
    """

    claim: Claim
    deadline: Deadline
    will_retry: Callable[[MarketplaceError], bool]
    may_postpone: Callable[[], bool] = lambda: False
    progress: int = 0
    _lost: threading.Event = field(default_factory=threading.Event)

    def advance(self, progress: int) -> None:
        """Tell the progress in percent; the next heartbeat writes it.

        Raises:
            FencedError: The lease went to another run: stop here.
        """
        self.progress = progress
        if self._lost.is_set():
            raise FencedError("this run lost its lease")

    def lose(self) -> None:
        """Note that the lease went to another run."""
        self._lost.set()


class Heartbeat:
    """Renews the leases of the runs that this process holds; one thread.

    A run past the end of its attempt is not renewed: a hung thread loses its lease. `show` writes, in the transaction
    of every beat, that this process runs.
    """

    def __init__(
        self,
        database: Database,
        metrics: LiveMetrics,
        *,
        beat_seconds: float,
        lease_seconds: float,
        show: Callable[[Connection], None] | None = None,
    ) -> None:
        self._database = database
        self._metrics = metrics
        self._beat_seconds = beat_seconds
        self._lease_seconds = lease_seconds
        self._show = show
        self._runs: set[JobRun] = set()
        self._guard = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat_for_ever, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat, unless it has begun."""
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> None:
        """Stop beating; what is still held loses its lease in time."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def lives(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def hold(self, run: JobRun) -> None:
        """Keep the lease of this run."""
        with self._guard:
            self._runs.add(run)

    def drop(self, run: JobRun) -> None:
        """Stop keeping the lease of this run."""
        with self._guard:
            self._runs.discard(run)

    def held(self) -> list[JobRun]:
        """Return the runs that this process holds now."""
        with self._guard:
            return list(self._runs)

    def beat_once(self) -> None:
        """Renew every lease, and show this process, in one transaction.

        Raises:
            DatabaseUnavailableError: Nothing was renewed.
        """
        runs = [run for run in self.held() if not run.deadline.expired]
        if not runs and self._show is None:
            return
        with self._database.write() as connection:
            if self._show is not None:
                self._show(connection)
            for run in runs:
                claim = run.claim
                if not beat(
                    connection, claim.job_id, claim.fence, lease_seconds=self._lease_seconds, progress=run.progress
                ):
                    run.lose()

    def _beat_for_ever(self) -> None:
        while not self._stopped.is_set():
            try:
                self.beat_once()
            except DatabaseUnavailableError as error:
                _log.warning("heartbeat_missed", reason=str(error))
            except Exception:  # noqa: BLE001 -- the edge of the thread: it must go on beating
                self._metrics.count(ERRORS, place="heartbeat")
                _log.exception("heartbeat_failed")
            self._stopped.wait(self._beat_seconds)
