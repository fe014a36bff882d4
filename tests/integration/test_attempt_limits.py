"""Attempts that ask agents have limits that follow from theirs, stored with the job and shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, select, update

from app.agent_calls import AgentCallLog
from app.agent_round import AgentRound
from app.agent_timeouts import AgentTimeouts
from app.agents.configuration import AgentConfig
from app.analysis_job import AnalysisJob
from app.attempt_limits import AttemptLimits
from app.domain.agent_timeouts import TimeoutMode
from app.domain.jobs import JobKind
from app.job_execution import Finished, RunEnd
from app.job_runs import JobRun
from app.phase_one import PhaseOne
from app.settings import TimeoutSettings
from app.storage.agent_calls import insert_calls
from app.storage.schema import agent_calls, jobs
from loadtest.agent_behaviours import Behaviour
from loadtest.agent_server import FakeAgents
from tests.api import Api
from tests.gateways import gateway_to
from tests.integration.test_agent_calls import CALL
from tests.pipeline import APPROVER, Pipeline

NIGHT = datetime(2026, 11, 27, 3, tzinfo=UTC)
OPPORTUNITIES = {"opportunities": [{"title": f"No. {number}", "priority": "high"} for number in range(20)]}


@pytest.fixture
def agents() -> Iterator[FakeAgents]:
    with FakeAgents() as agents:
        yield agents


class House:
    """The pipeline with the product's own job bodies and adaptive timeouts."""

    def __init__(self, pipeline: Pipeline, agents: FakeAgents, own: float | None, settings: TimeoutSettings) -> None:
        self.pipeline = pipeline
        configs = [
            AgentConfig(name=name, channel=name, url=f"{agents.url}/{name}/v1", model="fake", timeout_seconds=own)
            for name in ("amazon", "shopee")
        ]
        self.log = AgentCallLog(pipeline.database, pipeline.metrics)
        gateway = gateway_to(configs, pipeline.metrics, on_call=self.log.add)
        timeouts = AgentTimeouts(
            pipeline.database,
            settings,
            pipeline.metrics,
            gateway.configured_seconds,
            transitions=_two_of_shopee,
            now=lambda: NIGHT,
        )
        limits = AttemptLimits(pipeline.database, gateway, timeouts)
        round_ = AgentRound(pipeline.database, gateway, pipeline.metrics, cache_seconds=3600, limits=limits)
        self.deadlines: list[float] = []
        analysis = AnalysisJob(pipeline.database, round_)

        def observed(run: JobRun) -> Finished:
            try:
                return analysis(run)
            finally:
                self.deadlines.append(run.deadline.remaining_seconds)

        pipeline.bodies[JobKind.ANALYSIS] = observed
        pipeline.bodies[JobKind.PHASE1] = PhaseOne(pipeline.database, round_, pipeline.metrics)

    def requested(self, *channels: str) -> UUID:
        return self.pipeline.analyses.request(
            title="Shoes", channels=channels, context="We sell shoes", origin="analysis", by=APPROVER, request_id=None
        ).job_id

    def calls(self) -> list[Any]:
        self.log.flush()
        with self.pipeline.database.read() as connection:
            return list(connection.execute(select(agent_calls)).all())


def _two_of_shopee(_connection: Connection, _seconds: float) -> Mapping[str, int]:
    return {"shopee": 2}


@pytest.fixture
def build(pipeline: Pipeline, agents: FakeAgents) -> Iterator[Callable[..., House]]:
    """Return what builds the pipeline; agents have a timeout of their own, `own`, or None."""
    with ExitStack() as stack:

        def build(own: float | None = None, settings: TimeoutSettings | None = None) -> House:
            house = House(pipeline, agents, own, settings or TimeoutSettings())
            stack.callback(house.log.close)
            return house

        yield build


@pytest.fixture
def house(build: Callable[..., House]) -> House:
    return build()


def test_an_analysis_has_the_time_of_its_slowest_agent_and_shows_why(house: House) -> None:
    job_id = house.requested("amazon", "shopee")
    assert house.pipeline.executor.run(job_id) is RunEnd.COMPLETED
    row = house.pipeline.job(job_id)
    # shopee: 30 s and 5 s for each of two transitions; a twentieth and a second to write.
    assert row.timeout_seconds == pytest.approx(40 / 0.95 + 1, abs=0.001)
    assert 30 < house.deadlines[0] <= row.timeout_seconds
    reason = row.timeout_reason
    assert (reason["mode"], reason["attempt"], reason["attemptSeconds"]) == ("rule", 1, 120.0)
    assert [(agent["agent"], agent["seconds"], agent["policy"]) for agent in reason["agents"]] == [
        ("amazon", 30.0, "rule"),
        ("shopee", 40.0, "rule"),
    ]
    assert reason["agents"][1]["rule"]["transitions"] == 10.0


def test_the_api_shows_the_limit_and_its_breakdown(house: House, api: Api) -> None:
    job_id = house.requested("amazon", "shopee")
    house.pipeline.executor.run(job_id)
    job = api.get(f"/api/marketplace/jobs/{job_id}").get_json()
    assert job["timeoutSeconds"] == pytest.approx(40 / 0.95 + 1, abs=0.001)
    assert job["timeoutReason"] == house.pipeline.job(job_id).timeout_reason
    assert job["timeoutReason"]["agents"][1]["rule"] == {
        "base": 30.0,
        "opportunities": 0.0,
        "transitions": 10.0,
        "peak": 0.0,
        "total": 40.0,
        "seconds": 40.0,
    }


def test_the_attempt_may_never_have_more_than_it_had(house: House) -> None:
    job_id = house.requested("amazon")
    with house.pipeline.database.write() as connection:
        connection.execute(update(jobs).values(timeout_seconds=5.0))
    house.pipeline.executor.run(job_id)
    row = house.pipeline.job(job_id)
    assert (row.timeout_seconds, row.timeout_reason["attemptSeconds"]) == (5.0, 5.0)
    assert house.deadlines[0] <= 5.0


def test_a_second_attempt_is_limited_anew_and_not_by_the_first(house: House, agents: FakeAgents) -> None:
    agents.agents["amazon"].behaviour = Behaviour(mode="error", fail_first=1)
    job_id = house.requested("amazon")
    assert house.pipeline.executor.run(job_id) is RunEnd.RETRYING
    assert house.pipeline.executor.run(job_id) is RunEnd.COMPLETED
    row = house.pipeline.job(job_id)
    assert (row.timeout_reason["attempt"], row.timeout_reason["attemptSeconds"]) == (2, 120.0)
    assert row.timeout_seconds == pytest.approx(30 / 0.95 + 1, abs=0.001)


def test_an_agents_own_timeout_ends_its_call_and_the_call_is_kept(
    build: Callable[..., House], pipeline: Pipeline, agents: FakeAgents
) -> None:
    house = build(own=1.0)
    agents.agents["amazon"].behaviour = Behaviour(mode="hang")
    job_id = house.requested("amazon", "shopee")
    assert pipeline.executor.run(job_id) is RunEnd.COMPLETED
    reason = pipeline.job(job_id).timeout_reason
    assert [(agent["seconds"], agent["configuredSeconds"]) for agent in reason["agents"]] == [(1.0, 1.0)] * 2
    calls = {call.agent: call for call in house.calls()}
    assert {name: call.outcome for name, call in calls.items()} == {"amazon": "timeout", "shopee": "ok"}
    assert calls["amazon"].limit_seconds == pytest.approx(1.0, abs=0.1)
    assert calls["amazon"].seconds >= 0.9
    assert not calls["amazon"].probe


def test_a_phase_1_job_keeps_its_limit_and_tells_what_its_agents_would_have_had(house: House) -> None:
    job_id = house.pipeline.approved(OPPORTUNITIES)
    assert house.pipeline.executor.run(job_id) is RunEnd.COMPLETED
    row = house.pipeline.job(job_id)
    assert (row.timeout_seconds, row.timeout_reason["attemptSeconds"]) == (10.0, 10.0)
    assert row.timeout_reason["agents"][0]["seconds"] == 31.0
    call = house.calls()[0]
    assert (call.purpose, call.size, call.outcome) == ("phase1", 20, "ok")
    # A tenth of the attempt is kept back to write.
    assert call.limit_seconds <= 9.0


def test_a_job_that_asks_no_agent_keeps_its_fixed_limit(house: House) -> None:
    job_id = house.pipeline.approved()
    assert house.pipeline.executor.run(job_id) is RunEnd.COMPLETED
    row = house.pipeline.job(job_id)
    assert (row.timeout_seconds, row.timeout_reason) == (10.0, {"mode": "fixed"})


def test_a_learned_timeout_holds_for_the_calls_of_a_job(build: Callable[..., House], pipeline: Pipeline) -> None:
    with pipeline.database.write() as connection:
        insert_calls(connection, [CALL] * 60)
    house = build(settings=TimeoutSettings(mode=TimeoutMode.LEARNED, probe_share=0))
    job_id = house.requested("amazon")
    assert pipeline.executor.run(job_id) is RunEnd.COMPLETED
    told = pipeline.job(job_id).timeout_reason["agents"][0]
    assert (told["policy"], told["seconds"], told["learnedSeconds"]) == ("learned", 10.0, 10.0)
    assert told["rule"]["seconds"] == 30.0
    assert max(call.limit_seconds for call in house.calls() if call.size == 0) <= 10.0
