"""The scheduler in place of the workers, while nobody tells them of jobs (docs/decisions/in-place-runs.md)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

import structlog

from app.domain.errors import DatabaseUnavailableError
from app.domain.jobs import JobKind, RunVia
from app.in_place import InPlaceRuns
from app.job_execution import JobExecutor, RunEnd
from app.live_metrics import LiveMetrics
from app.metrics import FALLBACK_ACTIVE
from app.settings import SchedulerSettings
from app.storage.controls import waits_for_scheduler
from app.storage.database import Database
from app.storage.sweeps import due

_log = structlog.stdlib.get_logger(__name__)


class Fallback:
    """Runs due jobs in this process: all of them when Redis has been away for a while, else those left to it.

    Never a job under which a process has died, and none of a paused queue. Any number of schedulers may do so at once.
    `redis_away_seconds` tells for how long Redis has been away.
    """

    def __init__(
        self,
        database: Database,
        executor: JobExecutor,
        settings: SchedulerSettings,
        metrics: LiveMetrics,
        *,
        redis_away_seconds: Callable[[], float],
    ) -> None:
        limits = {JobKind.PHASE1: settings.fallback_phase1_runs, JobKind.ANALYSIS: settings.fallback_analysis_runs}
        self._database = database
        self._runs = InPlaceRuns(executor, metrics, via=RunVia.FALLBACK, limits=limits)
        self._settings = settings
        self._metrics = metrics
        self._redis_away_seconds = redis_away_seconds
        self._active = False

    def run_due(self) -> None:
        """Begin as many due jobs as there is room for, oldest first, and wait for none of them.

        Raises:
            DatabaseUnavailableError: It is not known which jobs are due.
        """
        active = self._fill()
        if active is not self._active:
            self._active = active
            self._metrics.add(FALLBACK_ACTIVE, 1 if active else -1)
            _log.warning("fallback_began" if active else "fallback_ended")

    def stop(self) -> bool:
        """Let what runs end within the grace period, and give back the rest; False when some threads still run."""
        released = self._runs.stop(grace_seconds=self._settings.shutdown_grace_seconds)
        _log.info("fallback_stopped", jobs_released=released)
        return not self._runs.running

    def _fill(self) -> bool:
        """Fill every free place; False when there is no reason for it."""
        away = self._redis_away_seconds() >= self._settings.fallback_after_seconds
        active = away
        for kind in JobKind:
            with self._database.read() as connection:
                ordered = waits_for_scheduler(connection, kind)
                room = self._runs.room(kind) if away or ordered else 0
                # Those that have begun are due until they are claimed.
                found = due(connection, kind, limit=room + self._runs.running, even_if_paused=ordered) if room else ()
            active = active or ordered
            for job in found:
                run = self._runs.start(kind, job.job_id, even_if_paused=ordered)
                if run is not None:
                    run.ended.add_done_callback(self._follow)
        return active

    def _follow(self, ended: Future[RunEnd | None]) -> None:
        """Fill the place of a run that has ended: the next tick may be half a second away."""
        if ended.result() in {None, RunEnd.NOT_CLAIMED}:
            return
        try:
            self._fill()
        except DatabaseUnavailableError as error:
            _log.warning("fallback_waits", reason=str(error))
