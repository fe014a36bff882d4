"""What the pipeline tells the relay, in the transaction of what it tells of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import event, select, update

from app.breakers.circuit_view import Turn
from app.domain.breaker import CircuitState, TurnCause
from app.domain.errors import BadAnswerError, NetworkError
from app.domain.jobs import JobKind, JobStatus
from app.domain.notices import Notice
from app.job_execution import RunEnd
from app.settings import DatabaseSettings, JobSettings
from app.storage.breaker_transitions import keep_turn
from app.storage.clock import now_plus
from app.storage.database import Database
from app.storage.letter_notices import tell_dead_message, tell_letters_handled
from app.storage.schema import jobs, notices
from app.storage.transitions import claim, fail
from tests.letters import archive_many, archive_unreadable
from tests.pipeline import APPROVER, Pipeline, no_work, raising
from worker.stuck_watch import StuckWatch


@pytest.fixture
def house(database_url: str, redis_url: str) -> Iterator[Pipeline]:
    """Return a pipeline with a relay to tell, on SQLite and on PostgreSQL."""
    database = Database(DatabaseSettings(url=SecretStr(database_url)), notices_of="test")
    house = Pipeline(database, redis_url, JobSettings(retry_delays_seconds=(0.0, 0.0, 0.0)))
    yield house
    house.close()
    database.close()


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.stuck_watch.REST", 0.0)


def told(database: Database) -> list[Notice]:
    """Return what is to be told, oldest first, as the relay reads it."""
    with database.read() as connection:
        rows = connection.execute(select(notices).order_by(notices.c.number)).all()
    found = [Notice.model_validate_json(json.dumps(row.data)) for row in rows]
    assert [(notice.id, notice.at) for notice in found] == [(row.id, row.created_at) for row in rows]
    return found


def failed_job(house: Pipeline, error: Exception | None = None) -> UUID:
    # Before the approval, which runs the job itself when Redis does not answer at once.
    house.bodies[JobKind.PHASE1] = raising(*[error or BadAnswerError("no JSON in the answer")] * 4)
    job_id = house.approved()
    run_until_it_fails(house, job_id)
    return job_id


def run_until_it_fails(house: Pipeline, job_id: UUID) -> None:
    for _ in range(4):
        house.executor.run(job_id)
    assert house.job(job_id).status == JobStatus.FAILED


def states(database: Database) -> list[str]:
    return [notice.state for notice in told(database)]


def test_a_failed_job_is_told_with_its_error_and_what_to_do(house: Pipeline) -> None:
    job_id = failed_job(house)
    (notice,) = told(house.database)
    assert notice.alert == "MarketplaceDeadLettersGrowing"
    assert (notice.state, notice.environment) == ("firing", "test")
    assert notice.subject == {"kind": "phase1", "error_class": "permanent"}
    assert (notice.plan_id, notice.job_id) == (house.job(job_id).plan_id, job_id)
    assert (notice.error_code, notice.error) == ("bad_answer", "no JSON in the answer")
    assert notice.action is not None
    assert f"`marketplace dead-letters retry {job_id}`" in notice.action
    assert "tried once" in notice.action


def test_a_job_that_will_be_retried_is_not_told_of(house: Pipeline) -> None:
    house.bodies[JobKind.PHASE1] = raising(NetworkError("away"))
    assert house.executor.run(house.approved()) is RunEnd.RETRYING
    assert told(house.database) == []


def test_a_job_that_fails_after_its_retries_is_told_with_the_number_of_tries(house: Pipeline) -> None:
    failed_job(house, NetworkError("away"))
    (notice,) = told(house.database)
    assert notice.subject["error_class"] == "recoverable"
    assert notice.action is not None
    assert "tried 4 times" in notice.action


def test_nothing_is_told_where_there_is_no_relay(pipeline: Pipeline) -> None:
    failed_job(pipeline)
    assert told(pipeline.database) == []


def test_a_failure_that_is_rolled_back_is_not_told(house: Pipeline) -> None:
    job_id = house.approved()
    with house.database.write() as connection:
        run = claim(connection, job_id, owner="worker-1", lease_seconds=10)
        assert run is not None
        assert fail(connection, job_id, run.fence, code="permanent", message="no")
        connection.rollback()
    assert told(house.database) == []


def test_a_message_without_a_job_is_told_once(house: Pipeline) -> None:
    archive_unreadable(house.database)
    (notice,) = told(house.database)
    assert notice.subject == {"kind": "none", "error_class": "message"}
    assert (notice.error_code, notice.error, notice.job_id) == ("unreadable", "no JSON", None)


def test_long_and_dirty_texts_are_made_to_fit(house: Pipeline) -> None:
    job_id = house.approved()
    with house.database.write() as connection:
        run = claim(connection, job_id, owner="worker-1", lease_seconds=10)
        assert run is not None
        fail(connection, job_id, run.fence, code="permanent", message="ä" * 5000)
    (notice,) = told(house.database)
    assert notice.error == "ä" * 2000


def test_a_retried_letter_is_resolved_when_its_job_completes(house: Pipeline) -> None:
    failed = failed_job(house)
    house.bodies[JobKind.PHASE1] = no_work
    retried = house.dead_letters.retry(failed, by=APPROVER, request_id=None).job_id
    assert states(house.database) == ["firing"]
    assert house.executor.run(retried) is RunEnd.COMPLETED
    first, second = told(house.database)
    assert (second.state, second.subject, second.job_id) == ("resolved", first.subject, retried)


def test_nothing_is_resolved_while_another_letter_of_the_same_sort_waits(house: Pipeline) -> None:
    failed = failed_job(house)
    other = failed_job(house)
    house.bodies[JobKind.PHASE1] = no_work
    house.executor.run(house.dead_letters.retry(failed, by=APPROVER, request_id=None).job_id)
    assert states(house.database) == ["firing", "firing"]
    house.dead_letters.discard(other, reason="a duplicate", by=APPROVER, request_id=None)
    assert states(house.database) == ["firing", "firing", "resolved"]


def test_every_error_on_the_way_of_a_retried_job_is_resolved(house: Pipeline) -> None:
    failed = failed_job(house)
    second = house.dead_letters.retry(failed, by=APPROVER, request_id=None).job_id
    house.bodies[JobKind.PHASE1] = raising(*[NetworkError("away")] * 4)
    run_until_it_fails(house, second)
    house.bodies[JobKind.PHASE1] = no_work
    house.executor.run(house.dead_letters.retry(second, by=APPROVER, request_id=None).job_id)
    resolved = [notice.subject["error_class"] for notice in told(house.database) if notice.state == "resolved"]
    assert sorted(resolved) == ["permanent", "recoverable"]


def test_letters_of_another_sort_do_not_hold_a_recovery_up(house: Pipeline) -> None:
    archive_unreadable(house.database)
    house.dead_letters.discard(failed_job(house), reason="a duplicate", by=APPROVER, request_id=None)
    assert states(house.database) == ["firing", "firing", "resolved"]


def test_a_recovery_is_not_told_of_what_nobody_was_told(house: Pipeline) -> None:
    (failed,) = archive_many(house.database, 1)
    house.dead_letters.discard(failed, reason="a duplicate", by=APPROVER, request_id=None)
    assert told(house.database) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_letters_that_wait_are_found_by_their_sort(house: Pipeline) -> None:
    failed_job(house)
    statements: list[str] = []
    event.listen(house.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    with house.database.write() as connection:
        tell_letters_handled(connection, "phase1", "permanent")
    (search,) = (statement for statement in statements if "waiting" in statement)
    with house.database.read() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {search}", ("permanent", "phase1", 1, 0)).all()
    assert "ix_marketplace_dead_letters_waiting (error_class=? AND kind=?)" in plan[0].detail


def turned(database: Database, before: CircuitState, after: CircuitState, cause: TurnCause) -> None:
    turn = Turn("amazon", before, after, cause, 1, 60.0, "they migrate", "network", "reset")
    actor = "ana" if cause is TurnCause.OPERATOR else None
    with database.write() as connection:
        keep_turn(connection, turn, actor=actor)


CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN


def test_a_circuit_that_opens_and_closes_is_told_twice_however_many_probes_fail(house: Pipeline) -> None:
    database = house.database
    turned(database, CLOSED, OPEN, TurnCause.FAILURES)
    for _ in range(2):
        turned(database, OPEN, HALF_OPEN, TurnCause.TIME_UP)
        turned(database, HALF_OPEN, OPEN, TurnCause.PROBE_FAILED)
    turned(database, OPEN, HALF_OPEN, TurnCause.TIME_UP)
    turned(database, HALF_OPEN, CLOSED, TurnCause.RECOVERED)
    opened, closed = told(database)
    assert (opened.alert, opened.state, opened.subject) == (
        "MarketplaceCircuitOpened",
        "firing",
        {"agent": "amazon"},
    )
    assert (opened.agent, opened.error_code, opened.error) == ("amazon", "network", "reset")
    assert opened.action is not None
    assert "60 s" in opened.action
    assert (closed.state, closed.subject, closed.agent) == ("resolved", {"agent": "amazon"}, "amazon")


def test_a_circuit_that_opens_again_after_it_closed_is_told_again(house: Pipeline) -> None:
    for _ in range(2):
        turned(house.database, CLOSED, OPEN, TurnCause.FAILURES)
        turned(house.database, HALF_OPEN, CLOSED, TurnCause.RECOVERED)
    assert len({notice.id for notice in told(house.database)}) == 4


def test_a_circuit_that_an_operator_opens_is_told_with_the_reason(house: Pipeline) -> None:
    turned(house.database, CLOSED, OPEN, TurnCause.OPERATOR)
    (notice,) = told(house.database)
    assert notice.summary == "ana opened the circuit of the agent amazon"
    assert (notice.error_code, notice.error) == (None, "they migrate")


def test_an_opening_that_was_not_told_is_told_when_the_probe_fails(house: Pipeline) -> None:
    turned(house.database, HALF_OPEN, OPEN, TurnCause.PROBE_FAILED)
    assert states(house.database) == ["firing"]


def overdue(house: Pipeline, since_seconds: float = 200) -> None:
    with house.database.write() as connection:
        connection.execute(update(jobs).values(available_at=now_plus(-since_seconds)))


def another_watch(house: Pipeline) -> StuckWatch:
    return StuckWatch(house.database, house.recovery, house.settings, house.metrics)


def test_a_stuck_plan_is_told_once_by_all_schedulers_and_after_their_restart(house: Pipeline) -> None:
    job_id = house.approved()
    overdue(house)
    house.watch.look()
    another_watch(house).look()
    house.watch.look()
    (notice,) = told(house.database)
    assert (notice.alert, notice.subject) == ("MarketplaceStuckPlans", {"cause": "waiting"})
    assert (notice.plan_id, notice.job_id) == (house.job(job_id).plan_id, job_id)
    assert notice.action == "The scheduler has sent another hint to the workers."


def test_a_plan_that_is_stuck_another_time_is_told_again(house: Pipeline) -> None:
    house.approved()
    overdue(house)
    house.watch.look()
    overdue(house, since_seconds=100)
    another_watch(house).look()
    assert states(house.database) == ["firing", "firing"]


def test_a_cause_without_plans_is_resolved_by_one_even_if_the_scheduler_that_told_of_it_died(house: Pipeline) -> None:
    house.approved()
    overdue(house)
    house.watch.look()
    overdue(house, since_seconds=0)
    first, second = another_watch(house), another_watch(house)
    assert first.look() == []
    assert second.look() == []
    assert states(house.database) == ["firing", "resolved"]


def test_a_cause_is_not_resolved_while_another_plan_has_it(house: Pipeline) -> None:
    first, second = house.approved(), house.approved()
    overdue(house)
    house.watch.look()
    house.bodies[JobKind.PHASE1] = raising(BadAnswerError("no"), BadAnswerError("no"))
    house.executor.run(first)
    house.watch.look()
    assert [n.state for n in told(house.database) if n.alert == "MarketplaceStuckPlans"] == ["firing", "firing"]
    house.executor.run(second)
    house.watch.look()
    assert [n.state for n in told(house.database) if n.alert == "MarketplaceStuckPlans"][2:] == ["resolved"]


def test_the_same_notice_is_written_once(house: Pipeline) -> None:
    letter_id = uuid4()
    for _ in range(2):
        with house.database.write() as connection:
            tell_dead_message(connection, letter_id, queue="phase1-tasks", reason="unreadable", message="no JSON")
    (notice,) = told(house.database)
    assert notice.at.utcoffset() == timedelta(0)
