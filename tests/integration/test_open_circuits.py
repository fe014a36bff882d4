"""What jobs make of an open circuit: the last good answer with its age, else an empty analysis or other tasks."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
import requests
from sqlalchemy import update

from app.agent_round import AgentRound
from app.agents.configuration import AgentConfig
from app.analysis_job import AnalysisJob
from app.breaker_history import BreakerHistory
from app.breakers.breakers import Breakers
from app.breakers.circuit_view import Turn
from app.domain.breaker import BreakerRules, CircuitState, TurnCause
from app.domain.jobs import JobKind, PlanStatus
from app.job_execution import RunEnd
from app.phase_one import PhaseOne
from app.storage.answers import keep_answer
from app.storage.breaker_transitions import (
    KEPT_SECONDS,
    count_transitions,
    forget_transitions,
    keep_turn,
    newest_transitions,
)
from app.storage.clock import now_plus
from app.storage.database import Database
from app.storage.schema import agent_answers, breaker_transitions
from loadtest.agent_server import FakeAgents
from tests.breakers.houses import fail
from tests.gateways import gateway_to
from tests.pipeline import APPROVER, Pipeline
from tests.servers import wait_until


@pytest.fixture
def agents() -> Iterator[FakeAgents]:
    with FakeAgents() as agents:
        yield agents


class Asking:
    """A pipeline whose agents have breakers that open at the first failure."""

    def __init__(self, house: Pipeline, agents: FakeAgents) -> None:
        self.house = house
        self.agents = agents
        names = ("amazon", "shopee")
        configs = [AgentConfig(name=name, channel=name, url=f"{agents.url}/{name}/v1", model="fake") for name in names]
        self.history = BreakerHistory(house.database, house.metrics)
        rules = dict.fromkeys(names, BreakerRules(failure_threshold=1))
        self.breakers = Breakers(rules, house.metrics, on_turn=self.history.keep)
        gateway = gateway_to(configs, house.metrics, breakers=self.breakers)
        asking = AgentRound(house.database, gateway, house.metrics, cache_seconds=3600)
        house.bodies[JobKind.PHASE1] = PhaseOne(house.database, asking, house.metrics)
        house.bodies[JobKind.ANALYSIS] = AnalysisJob(house.database, asking)

    def open(self, agent: str) -> None:
        """Let this agent's circuit open; what opened it is gone then."""
        fail(self.breakers, agent=agent)
        assert self.breakers.view(agent).state is CircuitState.OPEN

    def requested(self, *channels: str) -> tuple[UUID, UUID]:
        """Return the plan and the job of a new analysis."""
        analysis = self.house.analyses.request(
            title="Shoes", channels=channels, context="We sell", origin="analysis", by=APPROVER, request_id=None
        )
        return analysis.plan_id, analysis.job_id

    def asked(self, agent: str) -> int:
        """Return how many requests have reached this agent."""
        return int(requests.get(f"{self.agents.url}/requests/{agent}", timeout=5).json()["count"])


@pytest.fixture
def asking(pipeline: Pipeline, agents: FakeAgents) -> Iterator[Asking]:
    asking = Asking(pipeline, agents)
    yield asking
    asking.history.close()


def test_an_open_circuit_falls_back_to_the_last_good_answer_and_tells_its_age(asking: Asking) -> None:
    house = asking.house
    first, job_id = asking.requested("amazon", "shopee")
    assert house.executor.run(job_id) is RunEnd.COMPLETED
    with house.database.write() as connection:
        connection.execute(update(agent_answers).values(answered_at=now_plus(-1800)))
    asking.open("amazon")
    before = asking.asked("amazon")
    plan_id, job_id = asking.requested("amazon", "shopee")
    assert house.executor.run(job_id) is RunEnd.COMPLETED
    assert asking.asked("amazon") == before
    result = house.job(job_id).result
    amazon, shopee = result["channels"]
    assert (amazon["source"], amazon["fallback"], amazon["errorCode"]) == ("cache", True, "circuit_open")
    assert amazon["ageSeconds"] == pytest.approx(1800, abs=20)
    assert (shopee["source"], shopee["fallback"], result["fallback"]) == ("agent", False, True)
    plan = house.plan(plan_id)
    assert "amazon: the agent was not asked, its circuit is open; its last good answer is used, 30m old" in plan.notes
    channel_of = [opportunity["agent"] for opportunity in plan.plan_data["opportunities"]]
    assert channel_of.count("amazon") == [o["agent"] for o in house.plan(first).plan_data["opportunities"]].count(
        "amazon"
    )
    assert house.value("marketplace_agent_fallbacks_total", agent="amazon", source="cache") == 1
    assert house.value("marketplace_circuit_breaker_refusal_seconds_count", agent="amazon") == 1
    assert house.value("marketplace_circuit_breaker_refusal_seconds_count", agent="shopee") == 0
    assert house.value("marketplace_circuit_breaker_refusal_seconds_sum", agent="amazon") > 0


def test_an_answer_that_is_too_old_is_no_fallback(asking: Asking) -> None:
    house = asking.house
    house.executor.run(asking.requested("amazon")[1])
    with house.database.write() as connection:
        connection.execute(update(agent_answers).values(answered_at=now_plus(-3601)))
    asking.open("amazon")
    _, job_id = asking.requested("amazon")
    assert house.executor.run(job_id) is RunEnd.COMPLETED
    assert house.job(job_id).result["channels"][0]["source"] == "empty"


def test_with_nothing_to_fall_back_on_the_analysis_is_empty_and_says_so(asking: Asking) -> None:
    house = asking.house
    asking.open("amazon")
    asking.open("shopee")
    plan_id, job_id = asking.requested("amazon", "shopee")
    assert house.executor.run(job_id) is RunEnd.COMPLETED
    assert (asking.asked("amazon"), asking.asked("shopee")) == (0, 0)
    plan = house.plan(plan_id)
    assert (plan.status, plan.plan_data["opportunities"]) == (PlanStatus.AWAITING_APPROVAL, [])
    assert plan.notes == [
        f"{name}: the agent was not asked, its circuit is open; this channel is empty" for name in ("amazon", "shopee")
    ]
    assert house.value("marketplace_agent_fallbacks_total", agent="amazon", source="empty") == 1


def test_one_open_circuit_beside_an_agent_that_may_recover_is_retried(asking: Asking) -> None:
    house = asking.house
    asking.open("amazon")
    requests.put(f"{asking.agents.url}/behaviour/shopee", json={"mode": "error"}, timeout=5).raise_for_status()
    _, job_id = asking.requested("amazon", "shopee")
    assert house.executor.run(job_id) is RunEnd.RETRYING
    assert house.attempts(job_id)[0].error_code == "server_error"


def test_phase_1_does_not_wait_for_an_open_circuit(asking: Asking) -> None:
    house = asking.house
    asking.open("amazon")
    job_id = house.approved({"opportunities": [{"title": "Photos", "priority": "high"}]})
    assert house.executor.run(job_id) is RunEnd.COMPLETED
    assert house.job(job_id).result["source"] == "generated"
    assert asking.asked("amazon") == 0


def test_every_turn_is_kept_in_the_database(asking: Asking) -> None:
    asking.open("amazon")
    database = asking.house.database

    def kept() -> bool:
        with database.read() as connection:
            return bool(newest_transitions(connection, agent="amazon", limit=10))

    wait_until(kept, what="the transition in the database")
    with database.read() as connection:
        (found,) = newest_transitions(connection, limit=10)
        assert newest_transitions(connection, agent="shopee", limit=10) == []
        assert count_transitions(connection, within_seconds=60) == {"amazon": 1}
    assert (found.from_state, found.to_state, found.cause) == (
        CircuitState.CLOSED,
        CircuitState.OPEN,
        TurnCause.FAILURES,
    )
    assert (found.seconds, found.error_code, found.error, found.actor) == (60, "network", "reset", None)


def test_the_longest_name_of_an_agent_fits(database: Database) -> None:
    name = "a" * 63
    turn = Turn(name, CircuitState.CLOSED, CircuitState.OPEN, TurnCause.FAILURES, 1, 60.0, "", "network", "reset")
    with database.write() as connection:
        keep_turn(connection, turn)
        keep_answer(database, connection, agent=name, purpose="analysis", digest="0" * 64, answer={})
    with database.read() as connection:
        assert [found.agent for found in newest_transitions(connection, limit=10)] == [name]


def test_old_turns_are_forgotten(database: Database) -> None:
    turn = Turn("amazon", CircuitState.OPEN, CircuitState.CLOSED, TurnCause.OPERATOR, 3, 0.0, "why", "", "")
    with database.write() as connection:
        keep_turn(connection, turn, actor="ana")
        connection.execute(update(breaker_transitions).values(at=now_plus(-KEPT_SECONDS - 1)))
        keep_turn(connection, turn, actor="bob")
        assert count_transitions(connection, within_seconds=60) == {"amazon": 1}
        assert forget_transitions(connection) == 1
    with database.read() as connection:
        (left,) = newest_transitions(connection, limit=10)
    assert (left.actor, left.reason, left.seconds, left.error) == ("bob", "why", None, None)
