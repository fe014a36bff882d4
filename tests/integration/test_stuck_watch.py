from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, select, update
from structlog.testing import capture_logs

from app.domain.controls import QueueState, queue_control
from app.domain.errors import BadAnswerError, DatabaseUnavailableError
from app.domain.jobs import JobKind
from app.domain.stuck_plans import StuckCause
from app.job_execution import RunEnd
from app.storage.clock import now_plus
from app.storage.controls import set_control
from app.storage.schema import dead_letters, events, jobs
from tests.pipeline import Pipeline, raising
from worker.stuck_watch import StuckWatch


@pytest.fixture
def watch(pipeline: Pipeline) -> StuckWatch:
    return pipeline.watch


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.stuck_watch.REST", 0.0)


def overdue(pipeline: Pipeline, **values: Any) -> None:
    with pipeline.database.write() as connection:
        connection.execute(update(jobs).values({"available_at": now_plus(-200), **values}))


def told(watch: StuckWatch) -> list[tuple[str, str, str]]:
    """Look once; return event, plan and cause of each line that the look wrote about a plan."""
    with capture_logs() as logs:
        watch.look()
    return [(log["event"], log["plan_id"], log["cause"]) for log in logs if log["event"].startswith("plan_")]


def test_a_stuck_plan_is_told_once_and_again_when_it_is_not_stuck_any_more(
    pipeline: Pipeline, watch: StuckWatch
) -> None:
    job_id = pipeline.approved()
    plan_id = str(pipeline.job(job_id).plan_id)
    assert told(watch) == []
    overdue(pipeline)
    assert told(watch) == [("plan_stuck", plan_id, "waiting")]
    assert told(watch) == []
    pipeline.executor.run(job_id)
    assert told(watch) == [("plan_stuck", plan_id, "not_latched"), ("plan_unstuck", plan_id, "waiting")]
    assert pipeline.value("marketplace_stuck_plans_found_total", cause="waiting") == 1


def test_what_is_told_says_where_for_how_long_and_how_long_it_may_take(pipeline: Pipeline, watch: StuckWatch) -> None:
    job_id = pipeline.approved()
    overdue(pipeline)
    with capture_logs() as logs:
        watch.look()
    (log,) = logs
    assert (log["job_id"], log["stage"], log["limit_seconds"], log["log_level"]) == (
        str(job_id),
        "phase1",
        60.0,
        "warning",
    )
    assert 200 <= log["age_seconds"] < 260


def test_a_defect_is_an_error_in_the_log_and_is_not_repaired(pipeline: Pipeline, watch: StuckWatch) -> None:
    job_id = pipeline.approved()
    plan_id = pipeline.job(job_id).plan_id
    pipeline.executor.run(job_id)
    with capture_logs() as logs:
        watch.look()
        watch.look()
    assert [(log["event"], log["cause"], log["log_level"]) for log in logs] == [("plan_stuck", "not_latched", "error")]
    assert pipeline.plan(plan_id).phase1_job_id is None


def test_a_plan_without_a_job_gets_one(pipeline: Pipeline, watch: StuckWatch) -> None:
    plan_id = pipeline.job(pipeline.approved()).plan_id
    with pipeline.database.write() as connection:
        connection.execute(delete(events))
        connection.execute(delete(jobs))
    assert told(watch) == [("plan_stuck", str(plan_id), "no_job")]
    with pipeline.database.read() as connection:
        job_id = connection.scalars(select(jobs.c.job_id).where(jobs.c.plan_id == plan_id)).one()
    assert pipeline.executor.run(job_id) is RunEnd.COMPLETED


def test_an_overdue_job_gets_its_hint_now_once(pipeline: Pipeline, watch: StuckWatch) -> None:
    pipeline.sweeper.dispatch()
    pipeline.approved()
    overdue(pipeline, next_dispatch_at=now_plus(50))
    assert pipeline.sweeper.dispatch() == 0
    watch.look()
    assert pipeline.sweeper.dispatch() == 1
    watch.look()
    assert pipeline.sweeper.dispatch() == 0


def test_a_missing_dead_letter_is_written(pipeline: Pipeline, watch: StuckWatch) -> None:
    job_id = pipeline.approved()
    pipeline.bodies[JobKind.PHASE1] = raising(BadAnswerError("no JSON"))
    pipeline.executor.run(job_id)
    with pipeline.database.write() as connection:
        connection.execute(delete(dead_letters))
    (plan,) = watch.look()
    assert plan.cause is StuckCause.NO_DEAD_LETTER
    letter = pipeline.dead_letter(job_id)
    assert letter is not None
    assert (letter.reason, letter.error_message, len(letter.history)) == ("bad_answer", "no JSON", 1)
    assert watch.look() == []


def test_a_paused_queue_is_not_told(pipeline: Pipeline, watch: StuckWatch) -> None:
    pipeline.approved()
    overdue(pipeline)
    with pipeline.database.write() as connection:
        name = queue_control(JobKind.PHASE1)
        set_control(pipeline.database, connection, name, QueueState.PAUSED, actor="ana", reason="a look")
    assert told(watch) == []


def test_what_could_not_be_mended_is_tried_again(
    pipeline: Pipeline, watch: StuckWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.approved()
    overdue(pipeline)

    def refuse(*_args: object) -> None:
        raise DatabaseUnavailableError("locked")

    with monkeypatch.context() as patch:
        patch.setattr("worker.stuck_watch.send_hints_now", refuse)
        with pytest.raises(DatabaseUnavailableError):
            watch.look()
    assert [plan.cause for plan in watch.look()] == [StuckCause.WAITING]


def test_a_slow_look_is_followed_by_a_rest(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.stuck_watch.REST", 1e6)
    pipeline.approved()
    overdue(pipeline)
    first = pipeline.watch.look()
    pipeline.approved()
    overdue(pipeline)
    assert (len(first), len(pipeline.watch.look())) == (1, 0)
