"""Durations of calls to agents: kept, read, forgotten; and what is learned from them."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, func, select, text

from app.agent_calls import AgentCallLog
from app.agent_timeouts import AgentTimeouts
from app.agents.question import Question
from app.domain.agent_timeouts import AgentCall, TimeoutMode, TimeoutPolicy
from app.domain.errors import DatabaseUnavailableError
from app.domain.plan import AnalysisPlan
from app.live_metrics import LiveMetrics
from app.settings import DatabaseSettings, TimeoutSettings
from app.storage.agent_calls import forget_calls, insert_calls, read_samples
from app.storage.database import Database
from app.storage.schema import agent_calls
from tests.pipeline import Pipeline
from tests.servers import wait_until
from worker.sweeper import Sweeper

CALL = AgentCall("amazon", "analysis", size=3, seconds=2.0, limit_seconds=30.0, outcome="ok", probe=False)
QUESTION = Question(purpose="analysis", channel="amazon", title="Shoes", context="", plan=None)
NIGHT = datetime(2026, 11, 27, 3, tzinfo=UTC)


def kept(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(agent_calls)).scalar_one())


def write(database: Database, *calls: AgentCall) -> None:
    """Write calls one by one, each a second after the one before."""
    for call in calls:
        with database.write() as connection:
            connection.execute(text(f"UPDATE {agent_calls.name} SET called_at = called_at - 1000"))
            insert_calls(connection, [call])


def timeouts_of(
    database: Database, mode: TimeoutMode, *, chance: random.Random | None = None, **more: object
) -> tuple[AgentTimeouts, LiveMetrics]:
    metrics = LiveMetrics(agents=["amazon", "shopee"])
    settings = TimeoutSettings(mode=mode)
    agents = {"amazon": None, "shopee": 5.0}
    never = SimpleNamespace(random=lambda: 1.0)
    timeouts = AgentTimeouts(
        database,
        settings,
        metrics,
        agents,
        chance=chance or never,  # type: ignore[arg-type]
        now=lambda: NIGHT,
        **more,  # type: ignore[arg-type]
    )
    return timeouts, metrics


def test_samples_are_the_newest_calls_of_this_agent_and_purpose(database: Database) -> None:
    write(
        database,
        *(replace(CALL, seconds=float(second)) for second in range(1, 6)),
        replace(CALL, agent="shopee"),
        replace(CALL, purpose="phase1"),
    )
    with database.read() as connection:
        samples = read_samples(connection, "amazon", "analysis", newest=3, watched=10, whole_seconds=108)
    assert [sample.seconds for sample in samples] == [5.0, 4.0, 3.0]
    assert {(sample.size, sample.limit_seconds, sample.answered) for sample in samples} == {(3, 30.0, True)}


def test_older_calls_that_had_the_longest_timeout_follow_and_none_comes_twice(database: Database) -> None:
    whole = [replace(CALL, seconds=float(second), limit_seconds=119.0, probe=True) for second in (10, 20, 30)]
    write(database, *whole[:2], *[CALL] * 4, whole[2], CALL)
    with database.read() as connection:
        samples = read_samples(connection, "amazon", "analysis", newest=3, watched=1, whole_seconds=108)
        more = read_samples(connection, "amazon", "analysis", newest=3, watched=5, whole_seconds=108)
    assert [sample.seconds for sample in samples] == [2.0, 30.0, 2.0, 20.0]
    assert [sample.seconds for sample in more] == [2.0, 30.0, 2.0, 20.0, 10.0]


@pytest.mark.parametrize(("outcome", "answered"), [("ok", True), ("bad_answer", True), ("timeout", False)])
def test_an_answer_is_one_whether_it_can_be_used_or_not(database: Database, outcome: str, *, answered: bool) -> None:
    write(database, replace(CALL, outcome=outcome))
    with database.read() as connection:
        samples = read_samples(connection, "amazon", "analysis", newest=3, watched=1, whole_seconds=108)
    assert [sample.answered for sample in samples] == [answered]


def test_old_calls_are_forgotten(database: Database) -> None:
    write(database, *[CALL] * 5)
    with database.write() as connection:
        assert forget_calls(connection, older_than_seconds=2.5) == 2
    assert kept(database) == 3


def test_the_sweeper_forgets_them(pipeline: Pipeline) -> None:
    write(pipeline.database, *[CALL] * 3)
    sweeper = Sweeper(
        pipeline.database,
        pipeline.hints,
        pipeline.recovery,
        pipeline.settings,
        pipeline.metrics,
        calls_kept_seconds=1.5,
    )
    sweeper.reconcile()
    assert kept(pipeline.database) == 2


def test_the_log_writes_calls_in_the_background(database: Database) -> None:
    log = AgentCallLog(database, LiveMetrics())
    for _ in range(3):
        log.add(CALL)
    wait_until(lambda: kept(database) == 3, what="the calls to be written")
    log.add(CALL)
    log.close()
    assert kept(database) == 4


@pytest.mark.parametrize("outcome", ["network", "server_error", "rate_limited", "remote_auth"])
def test_what_does_not_tell_how_long_an_agent_takes_is_no_sample(database: Database, outcome: str) -> None:
    write(database, CALL, replace(CALL, outcome=outcome))
    with database.read() as connection:
        samples = read_samples(connection, "amazon", "analysis", newest=10, watched=10, whole_seconds=108)
    assert len(samples) == 1


@pytest.mark.parametrize("outcome", ["configuration", "other"])
def test_what_was_no_call_is_not_kept(database: Database, outcome: str) -> None:
    log = AgentCallLog(database, LiveMetrics())
    log.add(replace(CALL, outcome=outcome))
    log.add(CALL)
    log.close()
    assert kept(database) == 1


def test_a_locked_database_delays_no_call_and_loses_none(sqlite_template: Path, tmp_path: Path) -> None:
    path = tmp_path / "locked.db"
    shutil.copyfile(sqlite_template, path)
    database = Database(DatabaseSettings(url=SecretStr(f"sqlite:///{path}"), lock_timeout_seconds=0.1))
    log = AgentCallLog(database, LiveMetrics())
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        # Each would wait for the lock for ever, if it waited.
        for _ in range(10):
            log.add(CALL)
        with pytest.raises(DatabaseUnavailableError):
            log.flush()
        other.execute("ROLLBACK")
        log.flush()
        wait_until(lambda: kept(database) == 10, what="the calls to be written")
    finally:
        other.close()
        log.close()
        database.close()


def test_a_cold_agent_has_the_rule_in_every_mode(database: Database) -> None:
    for mode in TimeoutMode:
        timeouts, _ = timeouts_of(database, mode)
        chosen = timeouts.timeout("amazon", QUESTION)
        assert (chosen.policy, chosen.seconds, chosen.learned_seconds) == (TimeoutPolicy.RULE, 30.0, None)


@pytest.mark.parametrize(
    ("mode", "policy", "seconds", "learned"),
    [
        (TimeoutMode.RULE, TimeoutPolicy.RULE, 30.0, None),
        (TimeoutMode.SHADOW, TimeoutPolicy.RULE, 30.0, 18.0),
        (TimeoutMode.LEARNED, TimeoutPolicy.LEARNED, 18.0, 18.0),
    ],
)
def test_what_the_database_holds_is_learned_and_both_values_are_measured(
    database: Database, mode: TimeoutMode, policy: TimeoutPolicy, seconds: float, learned: float | None
) -> None:
    with database.write() as connection:
        insert_calls(connection, [replace(CALL, size=0, seconds=18.0)] * 60)
    timeouts, metrics = timeouts_of(database, mode)

    chosen = timeouts.timeout("amazon", QUESTION)

    assert chosen.policy is policy
    assert chosen.seconds == pytest.approx(seconds)
    assert chosen.learned_seconds == (None if learned is None else pytest.approx(learned))

    def total(policy: str) -> float | None:
        return metrics.registry.get_sample_value(
            "marketplace_agent_timeout_seconds_sum", {"agent": "amazon", "policy": policy}
        )

    assert total("rule") == 30.0
    assert total("used") == pytest.approx(seconds)
    assert total("learned") == pytest.approx(learned or 0.0)


def test_a_probe_gets_the_longest_timeout(database: Database) -> None:
    with database.write() as connection:
        insert_calls(connection, [replace(CALL, size=0, seconds=18.0)] * 60)
    always = SimpleNamespace(random=lambda: 0.0)
    timeouts, _ = timeouts_of(database, TimeoutMode.LEARNED, chance=always)  # type: ignore[arg-type]
    chosen = timeouts.timeout("amazon", QUESTION)
    assert (chosen.policy, chosen.seconds) == (TimeoutPolicy.PROBE, 120.0)


def test_what_was_learned_is_kept_in_the_process_and_renewed_in_time(database: Database) -> None:
    clock = SimpleNamespace(now=0.0)
    timeouts, _ = timeouts_of(database, TimeoutMode.SHADOW, monotonic=lambda: clock.now)
    assert timeouts.timeout("amazon", QUESTION).learned_seconds is None
    with database.write() as connection:
        insert_calls(connection, [replace(CALL, size=0, seconds=18.0)] * 60)
    clock.now = 29.9
    assert timeouts.timeout("amazon", QUESTION).learned_seconds is None
    clock.now = 30.1
    wait_until(lambda: timeouts.timeout("amazon", QUESTION).learned_seconds, what="the new bound")


def test_transitions_of_the_breaker_and_opportunities_lengthen_the_rule(database: Database) -> None:
    asked: list[float] = []

    def transitions(_connection: Connection, seconds: float) -> Mapping[str, int]:
        asked.append(seconds)
        return {"amazon": 3}

    timeouts, _ = timeouts_of(database, TimeoutMode.RULE, transitions=transitions)
    plan = AnalysisPlan.model_validate({"opportunities": [{"title": f"No. {number}"} for number in range(40)]})
    chosen = timeouts.timeout("amazon", replace(QUESTION, purpose="phase1", plan=plan))
    assert (chosen.rule.transitions, chosen.rule.opportunities, chosen.seconds) == (15.0, 2.0, 47.0)
    assert timeouts.timeout("shopee", QUESTION).rule.transitions == 0.0
    assert asked == [3600.0]


def test_a_database_that_is_away_leaves_the_rule(tmp_path: Path) -> None:
    database = Database(DatabaseSettings(url=SecretStr(f"sqlite:///{tmp_path}/missing/marketplace.db")))
    timeouts, _ = timeouts_of(database, TimeoutMode.LEARNED)
    assert timeouts.timeout("amazon", QUESTION).seconds == 30.0
    database.close()
