from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest
import structlog
from sqlalchemy import Connection, update

from app.domain.errors import (
    BadAnswerError,
    DatabaseUnavailableError,
    DeadlineExceededError,
    NetworkError,
    RateLimitedError,
)
from app.domain.jobs import AttemptOutcome, JobKind, JobStatus, PlanStatus
from app.job_execution import Finished, RunEnd
from app.job_runs import JobRun
from app.settings import JobSettings
from app.storage.clock import now_plus
from app.storage.database import Database
from app.storage.schema import jobs
from tests.pipeline import APPROVER, Pipeline, no_work, raising


def test_a_job_goes_from_pending_over_active_to_completed(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    seen = []

    def body(run: JobRun) -> Finished:
        row = pipeline.job(job_id)
        seen.append((row.status, row.lease_owner, row.attempt_number))
        run.advance(50)
        return Finished(lambda _connection: {"answer": 42})

    pipeline.bodies[JobKind.PHASE1] = body
    assert pipeline.executor.run(job_id) == RunEnd.COMPLETED
    row = pipeline.job(job_id)
    assert seen == [(JobStatus.ACTIVE, "worker-1", 1)]
    assert (row.status, row.progress, row.result, row.lease_owner) == (JobStatus.COMPLETED, 100, {"answer": 42}, None)
    assert pipeline.events(job_id) == ["job:active", "job:completed", "job:enqueued"]
    assert [attempt.outcome for attempt in pipeline.attempts(job_id)] == [AttemptOutcome.COMPLETED]


def test_a_second_hint_for_the_same_job_changes_nothing(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    pipeline.executor.run(job_id)
    before = pipeline.job(job_id)
    assert pipeline.executor.run(job_id) == RunEnd.NOT_CLAIMED
    assert pipeline.job(job_id) == before


def test_only_one_of_many_workers_claims_a_job(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    fences = []

    def body(run: JobRun) -> Finished:
        fences.append(run.claim.fence)
        return no_work(run)

    pipeline.bodies[JobKind.PHASE1] = body
    ends: list[RunEnd] = []
    threads = [
        threading.Thread(target=lambda n=n: ends.append(pipeline.another_executor(f"worker-{n}").run(job_id)))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(ends) == [RunEnd.COMPLETED] + [RunEnd.NOT_CLAIMED] * 7
    assert fences == [1]


@pytest.mark.parametrize(
    "error",
    [
        NetworkError("reset"),
        DeadlineExceededError("late"),
        RateLimitedError("slow down"),
        DatabaseUnavailableError("x"),
    ],
    ids=lambda error: error.code,
)
def test_a_recoverable_error_is_retried_and_stands_in_the_history(pipeline: Pipeline, error: Exception) -> None:
    job_id = pipeline.approved()
    pipeline.bodies[JobKind.PHASE1] = raising(error)
    assert pipeline.executor.run(job_id) == RunEnd.RETRYING
    row = pipeline.job(job_id)
    assert (row.status, row.error_count, row.lease_until_at) == (JobStatus.PENDING, 1, None)
    assert pipeline.executor.run(job_id) == RunEnd.COMPLETED
    attempts = pipeline.attempts(job_id)
    assert [attempt.outcome for attempt in attempts] == [AttemptOutcome.RETRYING, AttemptOutcome.COMPLETED]
    assert attempts[0].error_message == str(error)
    assert pipeline.job(job_id).error_message is None
    assert pipeline.value("marketplace_job_retries_sum", kind="phase1", outcome="completed") == 1


def test_a_job_ends_as_a_dead_letter_after_three_retries(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    pipeline.bodies[JobKind.PHASE1] = raising(*[NetworkError(f"reset {n}") for n in range(4)])
    ends = [pipeline.executor.run(job_id) for _ in range(5)]
    assert ends == [RunEnd.RETRYING] * 3 + [RunEnd.FAILED, RunEnd.NOT_CLAIMED]
    letter = pipeline.dead_letter(job_id)
    assert letter is not None
    assert (letter.reason, letter.error_message) == ("network", "reset 3")
    assert [entry["errorMessage"] for entry in letter.history] == [f"reset {n}" for n in range(4)]
    assert "job:failed" in pipeline.events(job_id)


def test_a_permanent_error_fails_at_once(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    pipeline.bodies[JobKind.PHASE1] = raising(BadAnswerError("not JSON"))
    assert pipeline.executor.run(job_id) == RunEnd.FAILED
    assert pipeline.job(job_id).error_code == "bad_answer"


def test_an_unexpected_exception_fails_the_job_and_is_counted(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    pipeline.bodies[JobKind.PHASE1] = raising(ZeroDivisionError("defect"))
    assert pipeline.executor.run(job_id) == RunEnd.FAILED
    assert pipeline.job(job_id).error_message == "unexpected ZeroDivisionError"
    assert pipeline.value("marketplace_unexpected_errors_total", place="job") == 1


def test_retries_wait_1_5_and_30_seconds(database: Database, redis_url: str) -> None:
    pipeline = Pipeline(database, redis_url, JobSettings())
    job_id = pipeline.approved()
    pipeline.bodies[JobKind.PHASE1] = raising(*[NetworkError("reset")] * 4)
    waits = []
    for _ in range(3):
        assert pipeline.executor.run(job_id) == RunEnd.RETRYING
        assert pipeline.executor.run(job_id) == RunEnd.NOT_CLAIMED
        attempt = pipeline.attempts(job_id)[-1]
        waits.append(round((attempt.retry_at - attempt.ended_at).total_seconds()))
        with database.write() as connection:
            connection.execute(update(jobs).values(available_at=now_plus()))
    assert waits == [1, 5, 30]
    pipeline.close()


def test_every_scheduled_retry_is_counted_with_its_error_and_its_pause(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    pipeline.bodies[JobKind.PHASE1] = raising(NetworkError("reset"), RateLimitedError("slow down", 20.0))
    assert pipeline.executor.run(job_id) == RunEnd.RETRYING
    assert pipeline.executor.run(job_id) == RunEnd.RETRYING
    for code in ("network", "rate_limited"):
        assert pipeline.value("marketplace_retries_scheduled_total", kind="phase1", error=code) == 1
    assert pipeline.value("marketplace_retry_delay_seconds_count", kind="phase1") == 2
    assert pipeline.value("marketplace_retry_delay_seconds_sum", kind="phase1") == 20


def test_successes_after_a_retry_can_be_told_from_those_without_and_from_failures(pipeline: Pipeline) -> None:
    for errors in ([], [NetworkError("x")], [NetworkError("x"), BadAnswerError("y")], [BadAnswerError("y")]):
        pipeline.bodies[JobKind.PHASE1] = raising(*errors)
        job_id = pipeline.approved()
        while pipeline.executor.run(job_id) is RunEnd.RETRYING:
            pass

    def ended(outcome: str, up_to: str) -> float:
        return pipeline.value("marketplace_job_retries_bucket", kind="phase1", outcome=outcome, le=up_to)

    for outcome in ("completed", "failed"):
        assert (ended(outcome, "0.0"), ended(outcome, "+Inf")) == (1, 2)


def test_every_failed_attempt_is_logged_with_its_number_and_its_reason(pipeline: Pipeline) -> None:
    pipeline.bodies[JobKind.PHASE1] = raising(NetworkError("reset"), BadAnswerError("no JSON"))
    job_id = pipeline.approved()
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        pipeline.executor.run(job_id)
        pipeline.executor.run(job_id)
    fields = ("event", "attempt", "error_code", "error", "retry", "delay", "no_retry")
    told = [tuple(log.get(name) for name in fields) for log in logs if "error_code" in log]
    assert told == [
        ("job_retry_scheduled", 1, "network", "reset", 1, 0.0, None),
        ("job_failed", 2, "bad_answer", "no JSON", 1, None, "permanent"),
    ]


def test_the_total_time_of_a_job_runs_from_its_first_start(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    with pipeline.database.write() as connection:
        hour_ago = {name: now_plus(seconds) for name, seconds in (("created_at", -3600), ("deadline_at", -3480))}
        connection.execute(update(jobs).values(hour_ago))
    left = []

    def body(run: JobRun) -> Finished:
        left.append(run.claim.seconds_left)
        raise NetworkError("reset")

    pipeline.bodies[JobKind.PHASE1] = body
    assert pipeline.executor.run(job_id) == RunEnd.RETRYING
    with pipeline.database.write() as connection:
        connection.execute(update(jobs).values(deadline_at=now_plus(50)))
    assert pipeline.executor.run(job_id) == RunEnd.RETRYING
    assert left == [pytest.approx(120, abs=5), pytest.approx(50, abs=5)]


def test_a_retry_that_would_come_after_the_total_deadline_is_not_made(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    with pipeline.database.write() as connection:
        connection.execute(update(jobs).values(deadline_at=now_plus(-1)))
    pipeline.bodies[JobKind.PHASE1] = raising(NetworkError("reset"))
    assert pipeline.executor.run(job_id) == RunEnd.FAILED
    assert (
        "no retry: it would come after a pause of 0 s, and the job has 0 s left" in pipeline.job(job_id).error_message
    )


def test_a_run_that_lost_its_lease_writes_nothing(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    other = pipeline.another_executor("worker-2")

    def body(_run: JobRun) -> Finished:
        with pipeline.database.write() as connection:
            connection.execute(update(jobs).values(lease_until_at=now_plus(-1)))
        assert pipeline.sweeper.reap() == 1
        pipeline.bodies[JobKind.PHASE1] = lambda _run: Finished(lambda _c: {"by": "second"})
        assert other.run(job_id, crash_count=1) == RunEnd.COMPLETED
        return Finished(lambda _connection: {"by": "first"})

    pipeline.bodies[JobKind.PHASE1] = body
    assert pipeline.executor.run(job_id) == RunEnd.LOST
    assert pipeline.job(job_id).result == {"by": "second"}
    outcomes = [attempt.outcome for attempt in pipeline.attempts(job_id)]
    assert outcomes == [AttemptOutcome.LOST, AttemptOutcome.COMPLETED]


def test_a_heartbeat_renews_the_lease_and_writes_progress(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()

    def body(run: JobRun) -> Finished:
        with pipeline.database.write() as connection:
            connection.execute(update(jobs).values(lease_until_at=now_plus(1)))
        before = pipeline.job(job_id)
        run.advance(40)
        pipeline.heartbeat.beat_once()
        after = pipeline.job(job_id)
        assert after.progress == 40
        assert (after.lease_until_at - before.lease_until_at).total_seconds() > 10
        return Finished(lambda _connection: {})

    pipeline.bodies[JobKind.PHASE1] = body
    assert pipeline.executor.run(job_id) == RunEnd.COMPLETED


def test_a_heartbeat_that_finds_its_lease_gone_stops_the_run(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()

    def body(run: JobRun) -> Finished:
        with pipeline.database.write() as connection:
            connection.execute(update(jobs).values(fence=jobs.c.fence + 1))
        pipeline.heartbeat.beat_once()
        run.advance(50)
        raise AssertionError("went on without a lease")

    pipeline.bodies[JobKind.PHASE1] = body
    assert pipeline.executor.run(job_id) == RunEnd.LOST


def test_a_released_run_is_due_again_with_nothing_counted(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()

    def body(run: JobRun) -> Finished:
        assert pipeline.executor.release_held() == 1
        run.advance(50)
        raise AssertionError("went on after its release")

    pipeline.bodies[JobKind.PHASE1] = body
    assert pipeline.executor.run(job_id) == RunEnd.LOST
    row = pipeline.job(job_id)
    assert (row.status, row.error_count, row.crash_count) == (JobStatus.PENDING, 0, 0)
    assert pipeline.attempts(job_id)[0].outcome == AttemptOutcome.RELEASED


def test_a_commit_that_failed_is_written_again(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    calls = []

    def write(_connection: Connection) -> Mapping[str, object]:
        calls.append(1)
        if len(calls) == 1:
            raise DatabaseUnavailableError("connection lost in COMMIT")
        return {"calls": len(calls)}

    pipeline.bodies[JobKind.PHASE1] = lambda _run: Finished(write)
    assert pipeline.executor.run(job_id) == RunEnd.COMPLETED
    assert pipeline.job(job_id).result == {"calls": 2}


def test_an_analysis_that_fails_for_good_marks_its_plan(pipeline: Pipeline) -> None:
    requested = pipeline.analyses.request(
        title=None, channels=["amazon"], context=None, origin="analysis", by=APPROVER, request_id=None
    )
    pipeline.bodies[JobKind.ANALYSIS] = raising(BadAnswerError("nothing usable"))
    assert pipeline.executor.run(requested.job_id) == RunEnd.FAILED
    assert pipeline.plan(requested.plan_id).status == PlanStatus.ANALYSIS_FAILED
