"""The sweeper: sends hints that are due, takes back what dead runs hold, and mends what must not be.

docs/reference/job-protocol.md, T6 to T8. It needs no leader: any number may run anywhere.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Sequence

import structlog
from sqlalchemy import Connection

from app.domain.errors import RedisUnavailableError
from app.domain.jobs import QUARANTINE_QUEUES, QUEUES, JobKind
from app.domain.processes import ProcessRole
from app.failpoints import Failpoint, failpoint
from app.job_queue.hints import HintQueue
from app.live_metrics import LiveMetrics
from app.metrics import HINTS_SENT
from app.reaping import reap_expired
from app.recovery import Recovery
from app.settings import JobSettings
from app.storage import sweeps
from app.storage.agent_calls import forget_calls
from app.storage.answers import forget_answers
from app.storage.breaker_transitions import forget_transitions
from app.storage.controls import waits_for_scheduler
from app.storage.database import Database
from app.storage.processes import forget_processes, is_running
from app.storage.sweeps import DueJob
from worker.abandonment import abandon_overdue
from worker.clock_watch import ClockWatch

_log = structlog.stdlib.get_logger(__name__)

#: When a hint could not be sent, it is due again after this many seconds.
_SEND_AGAIN_SECONDS = 1.0

#: The row of a process that has not shown itself for so long is removed.
_PROCESS_KEPT_SECONDS = 3600.0

#: A process that has missed this many beats does not run.
_BEATS_MISSED = 5
#: Nothing is given up before the sweeper has run for so long: after days without any process, workers get their chance.
_WATCHED_SECONDS = 3600.0


class Sweeper:
    """Three chores, each safe to run at the same time in several processes.

    Durations of calls to agents are kept for `calls_kept_seconds`.
    """

    def __init__(
        self,
        database: Database,
        hints: HintQueue,
        recovery: Recovery,
        settings: JobSettings,
        metrics: LiveMetrics,
        *,
        calls_kept_seconds: float = 604_800.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._calls_kept_seconds = calls_kept_seconds
        self._hints = hints
        self._recovery = recovery
        self._settings = settings
        self._metrics = metrics
        self._quarantine_seen_at = -math.inf
        self._redis_away_since: float | None = None
        self._monotonic = monotonic
        self._begun_at = monotonic()
        self._clock = ClockWatch(database, settings, metrics, monotonic=monotonic)

    @property
    def redis_away_seconds(self) -> float:
        """For how long no dispatch has come to its end because of Redis."""
        return 0.0 if self._redis_away_since is None else self._monotonic() - self._redis_away_since

    def dispatch(self) -> int:
        """Send the hints that are due, oldest first, as long as there is room in the queue (T6); return how many.

        Raises:
            RedisUnavailableError: Hints could not be sent; they stay due.
            DatabaseUnavailableError: Nothing was sent.
        """
        try:
            sent = self._dispatch()
        except RedisUnavailableError:
            self._redis_away_since = self._redis_away_since or self._monotonic()
            raise
        self._redis_away_since = None
        return sent

    def reap(self) -> int:
        """Take back every job whose lease ran out (T7); return how many.

        When the clock was set, leases tell nothing: they begin anew, and this round takes nothing back (T8e).

        Raises:
            DatabaseUnavailableError: Nothing was taken back.
        """
        if self._clock.settle():
            return 0
        return reap_expired(self._database, self._metrics, crash_limit=self._settings.crash_limit)

    def reconcile(self) -> None:
        """Mend what must not be: plans without a job, impossible times; give up what nobody takes (T8, T9).

        Raises:
            DatabaseUnavailableError: It is tried again at the next round.
        """
        if not self._clock.settle() and self._monotonic() - self._begun_at > _WATCHED_SECONDS:
            abandon_overdue(self._database, self._settings, self._metrics)
        created = self._recovery.create_missing_jobs()
        if created:
            _log.warning("missing_jobs_created", plans=created)
        with self._database.write() as connection:
            clamped = sweeps.clamp(
                connection, lease_seconds=self._settings.lease_seconds, clamp_seconds=self._settings.clamp_seconds
            )
            forget_answers(connection, older_than_seconds=self._settings.answer_cache_seconds)
            forget_transitions(connection)
            forget_calls(connection, older_than_seconds=self._calls_kept_seconds)
            forget_processes(connection, older_than_seconds=_PROCESS_KEPT_SECONDS)
        if clamped:
            _log.warning("impossible_times_clamped", jobs=clamped)

    def _dispatch(self) -> int:
        if self._hints.begin_epoch(str(uuid.uuid4())):
            with self._database.write() as connection:
                due = sweeps.make_hints_due(connection)
            _log.warning("redis_was_empty", jobs_due=due)
        # Those that crashed come first: they are few, and the others would leave them no room.
        return sum(self._dispatch_kind(kind, crashed=crashed) for crashed in (True, False) for kind in JobKind)

    def _dispatch_kind(self, kind: JobKind, *, crashed: bool) -> int:
        with self._database.read() as connection:
            if waits_for_scheduler(connection, kind) and not crashed:
                return 0
            due = sweeps.due(connection, kind, crashed=crashed, limit=self._settings.window)
            quarantined = crashed and self._has_quarantine(connection)
        if not due:
            return 0
        queue = (QUARANTINE_QUEUES if quarantined else QUEUES)[kind]
        room = self._settings.window - self._hints.waiting(queue)
        if room <= 0:
            return 0
        with self._database.write() as connection:
            marked = [
                job
                for job in due[:room]
                if sweeps.mark_dispatched(connection, job, again_in_seconds=self._settings.redispatch_seconds)
            ]
        if marked:
            failpoint(Failpoint.SWEEP_AFTER_MARK)
        for position, job in enumerate(marked):
            try:
                self._hints.send(queue, job.job_id, crash_count=job.crash_count)
            except RedisUnavailableError:
                self._postpone(marked[position:])
                raise
            self._metrics.count(HINTS_SENT, sender="sweeper", outcome="sent")
            failpoint(Failpoint.SWEEP_AFTER_SEND)
        return len(marked)

    def _has_quarantine(self, connection: Connection) -> bool:
        """Tell whether a quarantine worker runs, or ran just now: a job that kills it must not meet the others then."""
        now = self._monotonic()
        if is_running(connection, ProcessRole.QUARANTINE, within_seconds=_BEATS_MISSED * self._settings.beat_seconds):
            self._quarantine_seen_at = now
        return now - self._quarantine_seen_at < self._settings.quarantine_wait_seconds

    def _postpone(self, unsent: Sequence[DueJob]) -> None:
        self._metrics.count(HINTS_SENT, len(unsent), sender="sweeper", outcome="failed")
        with self._database.write() as connection:
            sweeps.postpone_dispatch(connection, [job.job_id for job in unsent], seconds=_SEND_AGAIN_SECONDS)
