"""Jobs whose agent is busy are put off, so that no thread waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Thread
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from app.agent_round import AgentRound
from app.agents.bulkhead import Permit
from app.agents.configuration import AgentConfig
from app.agents.gateway import AgentGateway
from app.analysis_job import AnalysisJob
from app.domain.jobs import AttemptOutcome, JobKind, JobStatus
from app.job_execution import RunEnd
from app.phase_one import PhaseOne
from app.settings import AgentsSettings, JobSettings
from app.storage.clock import now_plus
from app.storage.database import Database
from app.storage.schema import events, jobs
from loadtest.agent_behaviours import Behaviour
from loadtest.agent_server import FakeAgents
from tests.breakers.houses import fail
from tests.gateways import NEVER_OPENS, gateway_to
from tests.pipeline import APPROVER, Pipeline
from tests.servers import wait_until
from tests.workers import ends, working

THREADS = 4
OPPORTUNITIES = {"opportunities": [{"title": "Photos", "priority": "high"}]}


@dataclass
class House:
    """A pipeline whose jobs ask two agents, of which half the threads may ask the same one."""

    pipeline: Pipeline
    agents: FakeAgents
    gateway: AgentGateway

    def request(self, *channels: str, context: str = "We sell shoes") -> UUID:
        return self.pipeline.analyses.request(
            title="Shoes", channels=channels, context=context, origin="analysis", by=APPROVER, request_id=None
        ).job_id

    def occupy(self, agent: str, kind: JobKind = JobKind.ANALYSIS) -> list[Permit]:
        """Take every permit of an agent."""
        permits: list[Permit] = []
        while True:
            found, busy = self.gateway.reserve([agent], kind.value)
            if busy:
                return permits
            permits.append(found[agent])

    def calls(self, agent: str) -> int:
        return int(str(self.agents.agents[agent].requests()["count"]))

    def in_flight(self, agent: str) -> float:
        return self.pipeline.value("marketplace_agent_calls_in_flight", agent=agent, kind="analysis")


@pytest.fixture
def agents() -> Iterator[FakeAgents]:
    with FakeAgents() as agents:
        yield agents


@pytest.fixture
def house(database: Database, redis_url: str, agents: FakeAgents) -> Iterator[House]:
    pipeline = Pipeline(database, redis_url, JobSettings(retry_delays_seconds=(0.0,)))
    configs = [
        AgentConfig(name=name, channel=name, url=f"{agents.url}/{name}/v1", model="fake", timeout_seconds=30)
        for name in ("amazon", "shopee")
    ]
    gateway = gateway_to(
        configs,
        pipeline.metrics,
        settings=AgentsSettings(retry_ratio=0, retry_reserve_per_second=1 / 60),
        breakers=NEVER_OPENS,
        threads=dict.fromkeys(JobKind, THREADS),
    )
    asking = AgentRound(database, gateway, pipeline.metrics, cache_seconds=3600)
    pipeline.bodies[JobKind.PHASE1] = PhaseOne(database, asking, pipeline.metrics)
    pipeline.bodies[JobKind.ANALYSIS] = AnalysisJob(database, asking)
    yield House(pipeline, agents, gateway)
    pipeline.close()


def make_due(database: Database, **values: Any) -> None:
    with database.write() as connection:
        connection.execute(update(jobs).values(available_at=now_plus(), **values))


def outcomes(pipeline: Pipeline, job_id: UUID) -> list[str]:
    return [attempt.outcome for attempt in pipeline.attempts(job_id)]


def give_back(permits: list[Permit]) -> None:
    for permit in permits:
        permit.give_back()


def test_a_job_whose_agent_is_busy_is_put_off_without_a_failure_and_asks_nobody(house: House) -> None:
    pipeline = house.pipeline
    permits = house.occupy("amazon")
    job_id = house.request("amazon", "shopee")
    assert pipeline.executor.run(job_id) is RunEnd.POSTPONED
    job, (attempt,) = pipeline.job(job_id), pipeline.attempts(job_id)
    assert (job.status, job.error_count, job.error_code) == (JobStatus.PENDING, 0, None)
    assert (attempt.outcome, attempt.error_code) == (AttemptOutcome.POSTPONED, "agent_busy")
    assert (house.calls("amazon"), house.calls("shopee")) == (0, 0)
    assert house.in_flight("shopee") == 0
    assert pipeline.executor.run(job_id) is RunEnd.NOT_CLAIMED
    assert pipeline.value("marketplace_jobs_postponed_total", kind="analysis") == 1

    give_back(permits)
    make_due(pipeline.database)
    assert pipeline.executor.run(job_id) is RunEnd.COMPLETED
    assert (house.calls("amazon"), house.calls("shopee")) == (1, 1)
    assert house.in_flight("amazon") == 0


def test_a_postponement_is_told_to_subscribers(house: House) -> None:
    house.occupy("amazon")
    job_id = house.request("amazon")
    house.pipeline.executor.run(job_id)
    with house.pipeline.database.read() as connection:
        told = [
            row.data
            for row in connection.execute(events.select().where(events.c.job_id == job_id))
            if row.data.get("reason") == "postponed"
        ]
    assert [(event["status"], event["errorCode"]) for event in told] == [("pending", "agent_busy")]
    assert 0.25 <= told[0]["retryInSeconds"] < 1


def test_postponements_follow_each_other_as_calls_end(house: House) -> None:
    pipeline = house.pipeline
    permits = house.occupy("amazon")
    # Of two places that are taken for 10 s each, one gets free every 5 s; turns follow each other a little faster.
    for _ in range(50):
        house.gateway._bulkhead._calls["amazon", "analysis"] += 1
        house.gateway._bulkhead.give_back("amazon", "analysis", held_seconds=10.0)
    jobs_ = [house.request("amazon", context=f"No. {n}") for n in range(6)]
    assert {pipeline.executor.run(job_id) for job_id in jobs_} == {RunEnd.POSTPONED}
    attempts = [pipeline.attempts(job_id)[-1] for job_id in jobs_]
    waits = [(attempt.retry_at - attempt.ended_at).total_seconds() for attempt in attempts]
    assert waits == pytest.approx([3, 6, 9, 12, 15, 15], abs=2.5)
    assert [pipeline.job(job_id).error_count for job_id in jobs_] == [0] * 6
    give_back(permits)


def test_a_backlog_for_one_agent_keeps_its_share_of_the_threads_busy(house: House, agents: FakeAgents) -> None:
    pipeline = house.pipeline
    agents.agents["amazon"].behaviour = Behaviour(mode="healthy", latency_ms=400)
    with working(pipeline, analysis_threads=THREADS, phase1_threads=0):
        backlog = [house.request("amazon", context=f"No. {n}") for n in range(30)]
        started = time.monotonic()

        def all_completed() -> bool:
            pipeline.sweeper.dispatch()
            return all(pipeline.job(job_id).status == JobStatus.COMPLETED for job_id in backlog)

        # Two threads need 6 s or so. Pauses of 1 to 15 s by the number of postponements took them more than 40.
        wait_until(all_completed, seconds=25, what="the backlog to be worked off")
        assert time.monotonic() - started > 3


def test_a_busy_agent_of_a_job_without_time_to_wait_counts_as_one_that_failed(house: House) -> None:
    pipeline = house.pipeline
    house.occupy("amazon")
    job_id = house.request("amazon", "shopee")
    assert pipeline.executor.run(job_id) is RunEnd.POSTPONED
    # A whole attempt of 120 s would not fit in any more.
    make_due(pipeline.database, deadline_at=now_plus(100))
    assert pipeline.executor.run(job_id) is RunEnd.COMPLETED
    reports = {report["channel"]: report for report in pipeline.job(job_id).result["channels"]}
    assert (reports["amazon"]["source"], reports["amazon"]["errorCode"]) == ("empty", "agent_busy")
    assert reports["shopee"]["source"] == "agent"
    assert house.calls("amazon") == 0


def test_a_job_that_only_a_busy_agent_could_help_retries_and_then_fails(house: House) -> None:
    pipeline = house.pipeline
    house.occupy("amazon")
    job_id = house.request("amazon")
    make_due(pipeline.database, deadline_at=now_plus(60))
    found = [pipeline.executor.run(job_id) for _ in range(4)]
    assert found == [RunEnd.RETRYING] * 3 + [RunEnd.FAILED]
    letter = pipeline.dead_letter(job_id)
    assert letter is not None
    assert letter.reason == "agent_busy"


def test_a_busy_agent_whose_circuit_is_open_is_not_waited_for(house: House) -> None:
    pipeline = house.pipeline
    house.occupy("amazon")
    fail(house.gateway._breakers, NEVER_OPENS.failure_threshold, agent="amazon")
    job_id = house.request("amazon", "shopee")
    assert pipeline.executor.run(job_id) is RunEnd.COMPLETED
    assert [report["source"] for report in pipeline.job(job_id).result["channels"]] == ["empty", "agent"]


def test_a_phase_1_job_is_put_off_as_well_and_permits_of_analyses_do_not_matter_to_it(house: House) -> None:
    pipeline = house.pipeline
    house.occupy("amazon")
    assert pipeline.executor.run(pipeline.approved(OPPORTUNITIES)) is RunEnd.COMPLETED
    house.occupy("amazon", JobKind.PHASE1)
    job_id = pipeline.approved(OPPORTUNITIES | {"summary": "another question"})
    assert pipeline.executor.run(job_id) is RunEnd.POSTPONED
    make_due(pipeline.database, deadline_at=now_plus(5))
    # No postponement any more: as with every agent that fails, retries come first and the opportunities last.
    assert [pipeline.executor.run(job_id) for _ in range(4)] == [RunEnd.RETRYING] * 3 + [RunEnd.COMPLETED]
    assert pipeline.job(job_id).result["source"] == "generated"


def test_a_refused_permit_spends_no_retry(house: House, agents: FakeAgents) -> None:
    pipeline = house.pipeline
    agents.agents["amazon"].behaviour = Behaviour(mode="error", fail_first=1, latency_ms=0)
    job_id = house.request("amazon")
    assert pipeline.executor.run(job_id) is RunEnd.RETRYING
    permits = house.occupy("amazon")
    for _ in range(3):
        assert pipeline.executor.run(job_id) is RunEnd.POSTPONED
        make_due(pipeline.database)
    give_back(permits)
    # The budget holds one retry: had a postponement taken it, none would be left.
    assert pipeline.executor.run(job_id) is RunEnd.COMPLETED
    assert outcomes(pipeline, job_id) == ["retrying", *["postponed"] * 3, "completed"]


def test_answers_of_an_earlier_attempt_need_no_permit(house: House, agents: FakeAgents) -> None:
    pipeline = house.pipeline
    agents.agents["amazon"].behaviour = Behaviour(mode="error", fail_first=1, latency_ms=0)
    job_id = pipeline.approved({"summary": "none"}, ("amazon", "shopee"))
    assert pipeline.executor.run(job_id) is RunEnd.RETRYING
    house.occupy("shopee", JobKind.PHASE1)
    assert pipeline.executor.run(job_id) is RunEnd.COMPLETED
    assert house.calls("shopee") == 1


def test_a_hanging_agent_does_not_keep_the_permits_of_the_others_in_its_round(house: House, agents: FakeAgents) -> None:
    agents.agents["amazon"].behaviour = Behaviour(mode="hang", latency_ms=0)
    job_id = house.request("amazon", "shopee")
    run = Thread(target=house.pipeline.executor.run, args=(job_id,))
    run.start()
    wait_until(lambda: house.calls("amazon") == 1 and house.in_flight("shopee") == 0, what="the healthy agent's answer")
    assert house.in_flight("amazon") == 1
    agents.stop()
    run.join(20)
    assert not run.is_alive()
    assert house.in_flight("amazon") == 0


def test_an_agent_that_hangs_leaves_threads_for_jobs_that_do_without_it(house: House, agents: FakeAgents) -> None:
    pipeline = house.pipeline
    agents.agents["amazon"].behaviour = Behaviour(mode="hang", latency_ms=0)
    with working(pipeline, analysis_threads=THREADS, phase1_threads=0):
        hanging = [house.request("amazon", context=f"hangs {n}") for n in range(3 * THREADS)]
        wait_until(_all_but(house, hanging, calls=THREADS // 2), what="all but the share to be put off")
        healthy = [house.request("shopee", context=f"healthy {n}") for n in range(10)]
        for job_id in healthy:
            ends(pipeline, job_id)
        assert house.calls("amazon") == THREADS // 2
        assert sum(pipeline.job(job_id).status == JobStatus.ACTIVE for job_id in hanging) == THREADS // 2
        # The calls that hang end with the server, so that the worker need not wait for their timeout.
        agents.stop()


def _all_but(house: House, jobs_: list[UUID], *, calls: int) -> Callable[[], bool]:
    def put_off() -> bool:
        found = [outcomes(house.pipeline, job_id)[-1:] for job_id in jobs_]
        return house.calls("amazon") == calls and found.count(["postponed"]) == len(jobs_) - calls

    return put_off
