"""An agent that is down must not be called more because it is down: measured at the agent."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr

from app.agent_round import AgentRound
from app.agents.configuration import AgentConfig
from app.domain.jobs import JobKind
from app.job_execution import Finished, RunEnd
from app.job_runs import JobRun
from app.phase_one import PhaseOne
from app.settings import AgentsSettings, DatabaseSettings, JobSettings
from app.storage.database import Database
from loadtest.agent_behaviours import Behaviour
from loadtest.agent_server import FakeAgents
from tests.gateways import NEVER_OPENS, gateway_to
from tests.pipeline import Pipeline

JOBS = 500
RATIO = 0.2


@pytest.fixture
def agents() -> Iterator[FakeAgents]:
    with FakeAgents(behaviours={"amazon": Behaviour(mode="dead", latency_ms=0)}) as agents:
        agents.agents["shopee"].behaviour = Behaviour(latency_ms=0)
        yield agents


@pytest.fixture
def house(sqlite_template: Path, redis_url: str, tmp_path: Path) -> Iterator[Pipeline]:
    """Return the pipeline with retries that are due at once."""
    path = tmp_path / "marketplace.db"
    shutil.copyfile(sqlite_template, path)
    database = Database(DatabaseSettings(url=SecretStr(f"sqlite:///{path}")))
    pipeline = Pipeline(database, redis_url, JobSettings(retry_delays_seconds=(0.0,)))
    yield pipeline
    pipeline.close()
    database.close()


def ask_through(house: Pipeline, agents: FakeAgents, settings: AgentsSettings) -> None:
    """Let Phase 1 jobs ask these agents."""
    configs = [
        AgentConfig(name=name, channel=name, url=f"{agents.url}/{name}/v1", model="fake")
        for name in ("amazon", "shopee")
    ]
    gateway = gateway_to(configs, house.metrics, settings=settings, breakers=NEVER_OPENS)
    house.bodies[JobKind.PHASE1] = PhaseOne(
        house.database, AgentRound(house.database, gateway, house.metrics, cache_seconds=3600), house.metrics
    )


def run_all(house: Pipeline, jobs: list[UUID]) -> dict[RunEnd, int]:
    """Run every job once, several at a time; return how many ended in which way."""
    with ThreadPoolExecutor(4) as pool:
        ends = list(pool.map(house.executor.run, jobs))
    return {end: ends.count(end) for end in set(ends)}


def calls(agents: FakeAgents, agent: str) -> int:
    return int(str(agents.agents[agent].requests()["count"]))


def approved(house: Pipeline, channels: tuple[str, ...], count: int) -> list[UUID]:
    """Return jobs whose plans differ, so that no agent's answer to one serves another."""
    return [house.approved({"summary": f"{channels} {n}"}, channels) for n in range(count)]


def test_500_jobs_call_a_dead_agent_little_more_than_500_times(house: Pipeline, agents: FakeAgents) -> None:
    ask_through(house, agents, AgentsSettings(retry_ratio=RATIO, retry_reserve_per_second=0))
    down = approved(house, ("amazon",), JOBS)
    healthy = approved(house, ("shopee",), 50)

    assert run_all(house, down) == {RunEnd.RETRYING: JOBS}
    assert run_all(house, healthy) == {RunEnd.COMPLETED: 50}
    for _ in range(2):
        assert run_all(house, down) == {RunEnd.RETRYING: JOBS}
    # With no retry left, a job takes the next best way to its tasks.
    assert run_all(house, down) == {RunEnd.COMPLETED: JOBS}

    assert JOBS < calls(agents, "amazon") <= (1 + RATIO) * JOBS
    assert calls(agents, "shopee") == 50
    made, refused = (
        house.value("marketplace_agent_retries_total", agent="amazon", outcome=outcome)
        for outcome in ("made", "refused")
    )
    assert (JOBS + made, made + refused) == (calls(agents, "amazon"), 3 * JOBS)
    assert house.value("marketplace_agent_retries_total", agent="shopee", outcome="refused") == 0


def test_a_refused_retry_stands_in_the_history_and_counts_as_a_failed_attempt(
    house: Pipeline, agents: FakeAgents
) -> None:
    ask_through(house, agents, AgentsSettings(retry_ratio=0, retry_reserve_per_second=0))
    (job_id,) = approved(house, ("amazon",), 1)
    for _ in range(4):
        run_all(house, [job_id])
    codes = [attempt.error_code for attempt in house.attempts(job_id)]
    assert codes == ["network", "retry_budget_exhausted", "retry_budget_exhausted", None]
    assert house.job(job_id).result["source"] == "minimal"
    assert house.job(job_id).result["agents"][0]["errorCode"] == "retry_budget_exhausted"
    assert calls(agents, "amazon") == 1


def test_a_rare_job_is_retried_from_the_reserve(house: Pipeline, agents: FakeAgents) -> None:
    ask_through(house, agents, AgentsSettings())
    (job_id,) = approved(house, ("amazon",), 1)
    for _ in range(4):
        run_all(house, [job_id])
    assert calls(agents, "amazon") == 4


def test_a_retry_does_not_ask_the_agents_that_have_answered_again(house: Pipeline, agents: FakeAgents) -> None:
    ask_through(house, agents, AgentsSettings())
    phase_one = house.bodies[JobKind.PHASE1]

    def hesitant(run: JobRun) -> Finished:
        # Longer than the first answer took from the approval on, as on a busy machine.
        time.sleep(0.0 if run.claim.attempt_number == 1 else 0.3)
        return phase_one(run)

    house.bodies[JobKind.PHASE1] = hesitant
    (job_id,) = approved(house, ("amazon", "shopee"), 1)
    for _ in range(4):
        run_all(house, [job_id])
    assert house.job(job_id).result["source"] == "agent"
    assert [calls(agents, agent) for agent in ("amazon", "shopee")] == [4, 1]
