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
from app.domain.errors import (
    AgentBusyError,
    DatabaseUnavailableError,
    FencedError,
    MarketplaceError,
    PermanentError,
)
from app.domain.jobs import AttemptOutcome, EventType, JobKind, JobStatus, RunVia
from app.domain.plan_size import PlanSize
from app.domain.retry import RetryDecision, RetryPolicy, postponement_seconds
from app.failpoints import Failpoint, failpoint
from app.job_events import record_job_event
from app.job_failures import count_failure, sizes_of
from app.job_runs import Heartbeat, JobRun
from app.live_metrics import LiveMetrics
from app.metrics import (
    ERRORS,
    JOB_DURATION,
    JOB_LATENCY,
    JOB_RETRIES,
    JOB_RUNS,
    JOBS_POSTPONED,
    RETRIES_SCHEDULED,
    RETRY_DELAY,
)
from app.postponement import postpone
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
    POSTPONED = "postponed"
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

    def run(
        self, job_id: UUID, *, via: RunVia = RunVia.QUEUE, crash_count: int = 0, even_if_paused: bool = False
    ) -> RunEnd:
        """Run a job if it is due; a hint that is late, early or a repeat changes nothing.

        Nor does one for a paused or drained queue, but for runs in place that an operator has asked for; nor one with
        another `crash_count` than the job has, for who does not know how many processes have died under it must not
        lose his own to it.

        Raises:
            DatabaseUnavailableError: The database did not answer; the sweeper will send another hint.
        """
        failpoint(Failpoint.JOB_BEFORE_CLAIM)
        claim = self._claim(job_id, via, crash_count=crash_count, even_if_paused=even_if_paused)
        if claim is None:
            return RunEnd.NOT_CLAIMED
        failpoint(Failpoint.JOB_AFTER_CLAIM)
        self._metrics.count(JOB_RUNS, kind=claim.kind, via=via)
        with structlog.contextvars.bound_contextvars(
            job_id=str(claim.job_id),
            plan_id=str(claim.plan_id),
            kind=claim.kind,
            attempt=claim.attempt_number,
            via=via,
            request_id=claim.request_id,
        ):
            started = time.monotonic()
            end = self._run_claimed(claim, started)
            seconds = time.monotonic() - started
            self._metrics.observe(JOB_DURATION, seconds, job_id=claim.job_id, kind=claim.kind, outcome=end)
            _log.info("job_attempt_ended", outcome=end, retry=claim.error_count, seconds=round(seconds, 4))
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

    def _claim(self, job_id: UUID, via: RunVia, *, crash_count: int, even_if_paused: bool) -> Claim | None:
        with self._database.write() as connection:
            claim = transitions.claim(
                connection,
                job_id,
                owner=self._owner,
                lease_seconds=self._settings.lease_seconds,
                crash_count=crash_count,
                via=via,
                even_if_paused=even_if_paused,
            )
            if claim is not None:
                self._event(connection, EventType.ACTIVE, claim, JobStatus.ACTIVE, via=via)
        return claim

    def _run_claimed(self, claim: Claim, started: float) -> RunEnd:
        limit = min(claim.timeout_seconds, max(claim.seconds_left, 0.0))
        run = JobRun(
            claim,
            Deadline.after(limit),
            will_retry=lambda error: self._decide(claim, error, started).delay_seconds is not None,
            may_postpone=lambda: _pause_of(claim, started) is not None,
        )
        self._heartbeat.hold(run)
        try:
            finished = self._bodies[claim.kind](run)
            failpoint(Failpoint.JOB_AFTER_WORK)
            return self._complete(run, finished)
        except FencedError:
            _log.warning("job_run_fenced")
            return RunEnd.LOST
        except AgentBusyError as error:
            return self._postpone(run, error, started)
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
            failpoint(Failpoint.JOB_BEFORE_COMPLETE_COMMIT)
            return True

        if not self._end(claim, write, AttemptOutcome.COMPLETED):
            return RunEnd.LOST
        failpoint(Failpoint.JOB_AFTER_COMPLETE)
        finished.written(result)
        self._metrics.observe(JOB_RETRIES, claim.error_count, kind=claim.kind, outcome="completed")
        if age is not None:
            self._metrics.observe(JOB_LATENCY, age, job_id=claim.job_id, kind=claim.kind)
        return RunEnd.COMPLETED

    def _postpone(self, run: JobRun, error: AgentBusyError, started: float) -> RunEnd:
        claim = run.claim
        pause = _pause_of(claim, started, error.turn_seconds)
        if pause is None:
            return self._fail(run, error, started)

        def write(connection: Connection) -> bool:
            return postpone(self._database, connection, claim, error, pause_seconds=pause)

        if not self._end(claim, write, AttemptOutcome.POSTPONED):
            return RunEnd.LOST
        self._metrics.count(JOBS_POSTPONED, kind=claim.kind)
        _log.info("job_postponed", error=str(error), delay=pause)
        return RunEnd.POSTPONED

    def _fail(self, run: JobRun, error: MarketplaceError, started: float) -> RunEnd:
        claim = run.claim
        decision = self._decide(claim, error, started)
        size = PlanSize.NONE
        delay = decision.delay_seconds
        explanation = f"; {decision.explanation}" if decision.explanation else ""
        message = str(error)[: _LONGEST_MESSAGE - len(explanation)] + explanation

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
            nonlocal size
            moved = transitions.fail(connection, claim.job_id, claim.fence, code=error.code, message=message)
            if moved:
                size = sizes_of(connection, [claim.plan_id])[claim.plan_id]
                if claim.kind is JobKind.ANALYSIS:
                    fail_analysis(connection, claim.plan_id)
                self._event(connection, EventType.FAILED, claim, JobStatus.FAILED, errorCode=error.code, error=message)
            return moved

        if delay is not None:
            if not self._end(claim, put_back, AttemptOutcome.RETRYING):
                return RunEnd.LOST
            self._metrics.count(RETRIES_SCHEDULED, kind=claim.kind, error=error.code)
            self._metrics.observe(RETRY_DELAY, delay, kind=claim.kind)
            _log.warning(
                "job_retry_scheduled", error_code=error.code, error=message, retry=claim.error_count + 1, delay=delay
            )
            failpoint(Failpoint.JOB_AFTER_PUT_BACK)
            return RunEnd.RETRYING
        if not self._end(claim, fail, AttemptOutcome.FAILED):
            return RunEnd.LOST
        count_failure(self._metrics, claim.kind, code=error.code, retries=claim.error_count, size=size)
        _log.error(
            "job_failed",
            error_code=error.code,
            error=message,
            retry=claim.error_count,
            no_retry=decision.no_retry,
        )
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

    def _decide(self, claim: Claim, error: MarketplaceError, started: float) -> RetryDecision:
        return self._retry.decide(error, failures=claim.error_count, seconds_left=_seconds_left(claim, started))

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


def _pause_of(claim: Claim, started: float, turn_seconds: float = 0.0) -> float | None:
    """Return for how long a run would be put off, in seconds; None when the job has no time for that."""
    return postponement_seconds(
        turn_seconds, seconds_left=_seconds_left(claim, started), attempt_seconds=claim.timeout_seconds
    )


def _seconds_left(claim: Claim, started: float) -> float:
    """Return the time until the job's total deadline, `started` being the moment of the claim."""
    return claim.seconds_left - (time.monotonic() - started)
