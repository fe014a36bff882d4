"""Execution of one job, from hint to end (docs/reference/job-protocol.md, T2, T4, T5).

Workers, and whoever else runs a job in place, call the same function.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import structlog
from sqlalchemy import Connection

from app.domain.deadline import Deadline
from app.domain.errors import DatabaseUnavailableError, FencedError, MarketplaceError, PermanentError
from app.domain.jobs import AttemptOutcome, EventType, JobKind, JobStatus
from app.domain.retry import RetryPolicy
from app.job_events import record_job_event
from app.job_runs import Heartbeat, JobRun
from app.metrics import ERRORS, JOB_DURATION, JOB_LATENCY, JOB_RETRIES, LiveMetrics
from app.settings import JobSettings
from app.storage import transitions
from app.storage.database import Database
from app.storage.jobs import ended_with, set_result
from app.storage.plans import fail_analysis
from app.storage.transitions import Claim

_log = structlog.stdlib.get_logger(__name__)

#: Error texts are kept up to this many characters.
_LONGEST_MESSAGE = 2000

#: How often the end of a run is written again when the database does not answer, within the lease.
_END_TRIES = 4


@dataclass(frozen=True)
class Finished:
    """What a run has produced.

    `write` puts the effects into the transaction that completes the job and returns the job's result as JSON; it may be
    called again when a COMMIT failed. `written` is called once with that result when the transaction stands.
    """

    write: Callable[[Connection], Mapping[str, object]]
    written: Callable[[Mapping[str, object]], None] = lambda _result: None


#: The work of one kind of job, within `run.deadline`: it writes nothing itself, and raises a `MarketplaceError` when it
#: cannot be done.
JobBody = Callable[[JobRun], Finished]


class RunEnd(StrEnum):
    """How a hint was dealt with."""

    NOT_CLAIMED = "not_claimed"
    COMPLETED = "completed"
    RETRYING = "retrying"
    FAILED = "failed"
    RELEASED = "released"
    LOST = "lost"


class JobExecutor:
    """Runs jobs; safe to use from many threads.

    `owner` names this process in leases and histories.
    """

    def __init__(
        self,
        database: Database,
        settings: JobSettings,
        bodies: Mapping[JobKind, JobBody],
        heartbeat: Heartbeat,
        metrics: LiveMetrics,
        *,
        owner: str,
    ) -> None:
        self._database = database
        self._settings = settings
        self._bodies = bodies
        self._heartbeat = heartbeat
        self._metrics = metrics
        self._owner = owner
        self._retry = RetryPolicy(settings.retry_delays_seconds, settings.max_retries, settings.clamp_seconds)

    def run(self, job_id: UUID) -> RunEnd:
        """Run a job if it is due; a hint that is late, early or a repeat changes nothing.

        Raises:
            DatabaseUnavailableError: The database did not answer; the sweeper will send another hint.
        """
        claim = self._claim(job_id)
        if claim is None:
            return RunEnd.NOT_CLAIMED
        with structlog.contextvars.bound_contextvars(
            job_id=str(claim.job_id),
            plan_id=str(claim.plan_id),
            kind=claim.kind,
            attempt=claim.attempt_number,
            request_id=claim.request_id,
        ):
            started = time.monotonic()
            end = self._run_claimed(claim, started)
            seconds = time.monotonic() - started
            self._metrics.observe(JOB_DURATION, seconds, kind=claim.kind, outcome=end)
            _log.info("job_attempt_ended", outcome=end, seconds=round(seconds, 4))
            return end

    def release_held(self) -> int:
        """Give back every run that this process still holds: the worker must stop now (T5b). Returns how many."""
        released = 0
        for run in self._heartbeat.held():
            with self._database.write() as connection:
                if transitions.release(connection, run.claim.job_id, run.claim.fence):
                    released += 1
                    self._event(connection, EventType.ENQUEUED, run.claim, JobStatus.PENDING, reason="released")
            run.lose()
            self._heartbeat.drop(run)
        return released

    def _claim(self, job_id: UUID) -> Claim | None:
        with self._database.write() as connection:
            claim = transitions.claim(connection, job_id, owner=self._owner, lease_seconds=self._settings.lease_seconds)
            if claim is not None:
                self._event(connection, EventType.ACTIVE, claim, JobStatus.ACTIVE)
        return claim

    def _run_claimed(self, claim: Claim, started: float) -> RunEnd:
        limit = min(claim.timeout_seconds, max(claim.seconds_left, 0.0))
        run = JobRun(
            claim, Deadline.after(limit), will_retry=lambda error: self._delay(claim, error, started) is not None
        )
        self._heartbeat.hold(run)
        try:
            finished = self._bodies[claim.kind](run)
            return self._complete(run, finished)
        except FencedError:
            _log.warning("job_run_fenced")
            return RunEnd.LOST
        except MarketplaceError as error:
            return self._fail(run, error, started)
        except Exception as error:  # noqa: BLE001 -- the edge of a job: one defect must not end the worker
            # Not one of ours: a defect. It is permanent and loud, for repeating it would only repeat it.
            self._metrics.count(ERRORS, place="job")
            _log.exception("job_raised")
            return self._fail(run, PermanentError(f"unexpected {type(error).__name__}"), started)
        finally:
            self._heartbeat.drop(run)

    def _complete(self, run: JobRun, finished: Finished) -> RunEnd:
        claim = run.claim

        result: Mapping[str, object] = {}
        age = None

        def write(connection: Connection) -> bool:
            nonlocal result, age
            age = transitions.complete(connection, claim.job_id, claim.fence)
            if age is None:
                return False
            result = finished.write(connection)
            set_result(connection, claim.job_id, result)
            self._event(connection, EventType.COMPLETED, claim, JobStatus.COMPLETED, result=dict(result))
            return True

        if not self._end(claim, write, AttemptOutcome.COMPLETED):
            return RunEnd.LOST
        finished.written(result)
        self._metrics.observe(JOB_RETRIES, claim.error_count, kind=claim.kind)
        if age is not None:
            self._metrics.observe(JOB_LATENCY, age, kind=claim.kind)
        return RunEnd.COMPLETED

    def _fail(self, run: JobRun, error: MarketplaceError, started: float) -> RunEnd:
        claim = run.claim
        message = str(error)[:_LONGEST_MESSAGE]
        delay = self._delay(claim, error, started)

        def put_back(connection: Connection) -> bool:
            moved = transitions.put_back(
                connection, claim.job_id, claim.fence, code=error.code, message=message, delay_seconds=delay or 0.0
            )
            if moved:
                self._event(
                    connection,
                    EventType.ENQUEUED,
                    claim,
                    JobStatus.PENDING,
                    reason="retry",
                    retryInSeconds=delay,
                    errorCode=error.code,
                    error=message,
                )
            return moved

        def fail(connection: Connection) -> bool:
            moved = transitions.fail(connection, claim.job_id, claim.fence, code=error.code, message=message)
            if moved:
                if claim.kind is JobKind.ANALYSIS:
                    fail_analysis(connection, claim.plan_id)
                self._event(connection, EventType.FAILED, claim, JobStatus.FAILED, errorCode=error.code, error=message)
            return moved

        if delay is not None:
            _log.warning(
                "job_retry_scheduled", error_code=error.code, error=message, retry=claim.error_count + 1, delay=delay
            )
            return RunEnd.RETRYING if self._end(claim, put_back, AttemptOutcome.RETRYING) else RunEnd.LOST
        _log.error("job_failed", error_code=error.code, error=message)
        if not self._end(claim, fail, AttemptOutcome.FAILED):
            return RunEnd.LOST
        self._metrics.observe(JOB_RETRIES, claim.error_count, kind=claim.kind)
        return RunEnd.FAILED

    def _end(self, claim: Claim, write: Callable[[Connection], bool], outcome: AttemptOutcome) -> bool:
        """Write the end of a run in one transaction; True when it is written.

        An error at COMMIT leaves the outcome unknown: the same transaction is tried again on a new connection, and when
        it finds nothing to do, the attempt's row tells whether the first try was the one that did it.
        """
        for remaining in reversed(range(_END_TRIES)):
            try:
                with self._database.write() as connection:
                    if write(connection):
                        return True
                    if ended_with(connection, claim.job_id, claim.fence, outcome):
                        return True
                    _log.warning("job_run_fenced")
                    return False
            except DatabaseUnavailableError as error:
                if not remaining:
                    raise
                _log.warning("job_end_not_written", reason=str(error), tries_left=remaining)
        raise AssertionError

    def _delay(self, claim: Claim, error: MarketplaceError, started: float) -> float | None:
        seconds_left = claim.seconds_left - (time.monotonic() - started)
        return self._retry.delay_after(error, failures=claim.error_count, seconds_left=seconds_left)

    def _event(
        self, connection: Connection, event_type: EventType, claim: Claim, status: JobStatus, **details: object
    ) -> None:
        record_job_event(
            self._database,
            connection,
            event_type,
            job_id=claim.job_id,
            plan_id=claim.plan_id,
            kind=claim.kind,
            status=status,
            fence=claim.fence,
            attempt=claim.attempt_number,
            **details,
        )
