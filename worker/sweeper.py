"""The sweeper: sends hints that are due, takes back what dead runs hold, and mends what must not be.

docs/reference/job-protocol.md, T6 to T8. It needs no leader: any number may run anywhere.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import structlog

from app.domain.errors import RedisUnavailableError
from app.domain.jobs import QUEUES, EventType, JobKind, JobStatus
from app.job_events import record_job_event
from app.job_queue.hints import HintQueue
from app.metrics import HINTS_SENT, LEASES_REAPED, LiveMetrics
from app.recovery import Recovery
from app.settings import JobSettings
from app.storage import sweeps
from app.storage.answers import forget_answers
from app.storage.database import Database
from app.storage.plans import completed_without_latch, fail_analysis
from app.storage.sweeps import CRASH_ERROR, DueJob

_log = structlog.stdlib.get_logger(__name__)

#: When a hint could not be sent, it is due again after this many seconds.
_SEND_AGAIN_SECONDS = 1.0


class Sweeper:
    """Three chores, each safe to run at the same time in several processes."""

    def __init__(
        self, database: Database, hints: HintQueue, recovery: Recovery, settings: JobSettings, metrics: LiveMetrics
    ) -> None:
        self._database = database
        self._hints = hints
        self._recovery = recovery
        self._settings = settings
        self._metrics = metrics

    def dispatch(self) -> int:
        """Send the hints that are due, oldest first, as long as there is room in the queue (T6); return how many.

        Raises:
            RedisUnavailableError: Hints could not be sent; they stay due.
            DatabaseUnavailableError: Nothing was sent.
        """
        if self._hints.begin_epoch(str(uuid.uuid4())):
            with self._database.write() as connection:
                due = sweeps.make_hints_due(connection)
            _log.warning("redis_was_empty", jobs_due=due)
        return sum(self._dispatch_kind(kind) for kind in JobKind)

    def reap(self) -> int:
        """Take back every job whose lease ran out (T7); return how many.

        Raises:
            DatabaseUnavailableError: Nothing was taken back.
        """
        with self._database.write() as connection:
            reaped = sweeps.reap(connection, crash_limit=self._settings.crash_limit)
            for job in reaped:
                failed = job.status is JobStatus.FAILED
                if failed and job.kind is JobKind.ANALYSIS:
                    fail_analysis(connection, job.plan_id)
                record_job_event(
                    self._database,
                    connection,
                    EventType.FAILED if failed else EventType.ENQUEUED,
                    job_id=job.job_id,
                    plan_id=job.plan_id,
                    kind=job.kind,
                    status=job.status,
                    fence=job.fence,
                    attempt=job.attempt_number,
                    **({"errorCode": CRASH_ERROR["error_code"]} if failed else {"reason": "lease_expired"}),
                )
        for job in reaped:
            self._metrics.count(LEASES_REAPED, kind=job.kind)
            _log.warning("lease_reaped", job_id=str(job.job_id), plan_id=str(job.plan_id), status=job.status)
        return len(reaped)

    def reconcile(self) -> None:
        """Mend what must not be: plans without a job, impossible times; tell of what nobody may mend (T8).

        Raises:
            DatabaseUnavailableError: It is tried again at the next round.
        """
        created = self._recovery.create_missing_jobs()
        if created:
            _log.warning("missing_jobs_created", plans=created)
        with self._database.write() as connection:
            clamped = sweeps.clamp(
                connection, lease_seconds=self._settings.lease_seconds, clamp_seconds=self._settings.clamp_seconds
            )
            inconsistent = completed_without_latch(connection, limit=100)
            forget_answers(connection, older_than_seconds=self._settings.answer_cache_seconds)
        if clamped:
            _log.warning("impossible_times_clamped", jobs=clamped)
        for plan_id in inconsistent:
            _log.error("completed_job_without_latch", plan_id=str(plan_id))

    def _dispatch_kind(self, kind: JobKind) -> int:
        room = self._settings.window - self._hints.waiting(QUEUES[kind])
        if room <= 0:
            return 0
        with self._database.read() as connection:
            due = sweeps.due(connection, kind, limit=room)
        if not due:
            return 0
        with self._database.write() as connection:
            marked = [
                job
                for job in due
                if sweeps.mark_dispatched(connection, job, again_in_seconds=self._settings.redispatch_seconds)
            ]
        for position, job in enumerate(marked):
            try:
                self._hints.send(QUEUES[kind], job.job_id)
            except RedisUnavailableError:
                self._postpone(marked[position:])
                raise
            self._metrics.count(HINTS_SENT, sender="sweeper", outcome="sent")
        return len(marked)

    def _postpone(self, unsent: Sequence[DueJob]) -> None:
        self._metrics.count(HINTS_SENT, len(unsent), sender="sweeper", outcome="failed")
        with self._database.write() as connection:
            sweeps.postpone_dispatch(connection, [job.job_id for job in unsent], seconds=_SEND_AGAIN_SECONDS)
