"""The two kinds of job, with real (fake) agents over HTTP, a real database and a real Valkey."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import update

from app.agent_round import AgentRound
from app.agents.configuration import AgentConfig
from app.analysis_job import AnalysisJob
from app.domain.jobs import JobKind, PlanStatus
from app.job_events import insert_announced_job
from app.job_execution import RunEnd
from app.phase_one import PhaseOne
from app.recovery import RecoveryAction
from app.storage.schema import jobs
from loadtest.agent_behaviours import Behaviour
from loadtest.agent_server import FakeAgents
from tests.gateways import gateway_to
from tests.pipeline import APPROVER, PLAN, Pipeline

OPPORTUNITIES = {"opportunities": [{"title": "Photos", "priority": "high"}, {"title": "Ads", "priority": "low"}]}


@pytest.fixture
def agents() -> Iterator[FakeAgents]:
    with FakeAgents() as agents:
        yield agents


@pytest.fixture
def house(pipeline: Pipeline, agents: FakeAgents) -> Pipeline:
    """Return the pipeline with the product's own job bodies and two agents."""
    configs = [
        AgentConfig(name=name, channel=name, url=f"{agents.url}/{name}/v1", model="fake", timeout_seconds=5)
        for name in ("amazon", "shopee")
    ]
    gateway = gateway_to(configs, pipeline.metrics)
    round_ = AgentRound(pipeline.database, gateway, pipeline.metrics, cache_seconds=3600)
    pipeline.bodies[JobKind.PHASE1] = PhaseOne(pipeline.database, round_, pipeline.metrics)
    pipeline.bodies[JobKind.ANALYSIS] = AnalysisJob(pipeline.database, round_)
    return pipeline


def behave(agents: FakeAgents, agent: str, mode: str, **more: object) -> None:
    agents.agents[agent].behaviour = Behaviour(mode=mode, **more)  # type: ignore[arg-type]


def source_of(house: Pipeline, job_id: UUID) -> str:
    return str(house.job(job_id).result["source"])


def run_to_its_end(house: Pipeline, job_id: UUID) -> RunEnd:
    end = house.executor.run(job_id)
    while end is RunEnd.RETRYING:
        end = house.executor.run(job_id)
    return end


def requested(house: Pipeline, *channels: str) -> tuple[UUID, UUID]:
    analysis = house.analyses.request(
        title="Shoes", channels=channels, context="We sell shoes", origin="analysis", by=APPROVER, request_id=None
    )
    return analysis.plan_id, analysis.job_id


def test_the_plans_own_phase_1_becomes_its_tasks_once(house: Pipeline) -> None:
    job_id = house.approved(PLAN)
    assert house.executor.run(job_id) is RunEnd.COMPLETED
    tasks = house.tasks(house.job(job_id).plan_id)
    assert [task.title for task in tasks] == PLAN["phases"][0]["tasks"]  # type: ignore[index]
    assert {(task.source, task.job_id, task.fence) for task in tasks} == {("plan", job_id, 1)}
    assert house.job(job_id).result["taskIds"] == [str(task.id) for task in tasks]
    assert house.plan(house.job(job_id).plan_id).phase1_job_id == job_id
    assert house.value("marketplace_tasks_created_total", source="plan") == 3


def test_without_a_phase_1_the_channels_agent_is_asked(house: Pipeline, agents: FakeAgents) -> None:
    job_id = house.approved(OPPORTUNITIES)
    assert house.executor.run(job_id) is RunEnd.COMPLETED
    assert source_of(house, job_id) == "agent"
    assert {task.channel for task in house.tasks(house.job(job_id).plan_id)} == {"amazon"}
    assert agents.agents["amazon"].requests()["count"] == 1


def test_an_agent_that_fails_once_makes_the_job_retry(house: Pipeline, agents: FakeAgents) -> None:
    behave(agents, "amazon", "error", fail_first=1)
    job_id = house.approved(OPPORTUNITIES)
    assert house.executor.run(job_id) is RunEnd.RETRYING
    assert house.executor.run(job_id) is RunEnd.COMPLETED
    assert source_of(house, job_id) == "agent"
    assert [attempt.error_code for attempt in house.attempts(job_id)] == ["server_error", None]


@pytest.mark.parametrize("mode", ["dead", "error", "rate_limited"])
def test_an_agent_that_stays_down_makes_the_opportunities_tasks(house: Pipeline, agents: FakeAgents, mode: str) -> None:
    behave(agents, "amazon", mode, retry_after_seconds=0)
    job_id = house.approved(OPPORTUNITIES)
    assert run_to_its_end(house, job_id) is RunEnd.COMPLETED
    assert source_of(house, job_id) == "generated"
    assert [task.title for task in house.tasks(house.job(job_id).plan_id)] == ["Photos", "Ads"]
    assert len(house.attempts(job_id)) == 4


def test_an_agent_that_answers_nonsense_is_not_asked_again(house: Pipeline, agents: FakeAgents) -> None:
    behave(agents, "amazon", "malformed", variant="no_json")
    job_id = house.approved(OPPORTUNITIES)
    assert house.executor.run(job_id) is RunEnd.COMPLETED
    assert source_of(house, job_id) == "generated"
    assert house.job(job_id).result["agents"][0]["errorCode"] == "bad_answer"


def test_a_plan_with_nothing_to_go_by_gets_tasks_for_review(house: Pipeline, agents: FakeAgents) -> None:
    behave(agents, "amazon", "malformed", variant="no_json")
    job_id = house.approved({"summary": "Empty"})
    assert house.executor.run(job_id) is RunEnd.COMPLETED
    assert source_of(house, job_id) == "minimal"
    assert [task.needs_review for task in house.tasks(house.job(job_id).plan_id)] == [True]


def test_the_last_good_answer_to_the_same_question_is_used(house: Pipeline, agents: FakeAgents) -> None:
    assert house.executor.run(house.approved(OPPORTUNITIES)) is RunEnd.COMPLETED
    behave(agents, "amazon", "malformed", variant="no_json")
    job_id = house.approved(OPPORTUNITIES)
    assert house.executor.run(job_id) is RunEnd.COMPLETED
    assert source_of(house, job_id) == "cache"
    assert house.job(job_id).result["agents"][0]["answeredAt"].endswith("Z")


def test_a_hung_agent_ends_at_the_deadline_of_the_attempt(house: Pipeline, agents: FakeAgents) -> None:
    behave(agents, "amazon", "hang")
    job_id = house.approved(OPPORTUNITIES)
    with house.database.write() as connection:
        connection.execute(update(jobs).values(timeout_seconds=0.5))
    assert house.executor.run(job_id) is RunEnd.RETRYING
    assert house.attempts(job_id)[0].error_code == "timeout"


def test_a_second_generation_creates_no_second_set_of_tasks(house: Pipeline) -> None:
    job_id = house.approved(PLAN)
    plan_id = house.job(job_id).plan_id
    house.executor.run(job_id)
    before = house.tasks(plan_id)
    with house.database.write() as connection:
        second = insert_announced_job(
            house.database,
            connection,
            house.settings,
            house.metrics,
            plan_id=plan_id,
            kind=JobKind.PHASE1,
            request_id=None,
            generation=2,
            retry_of=job_id,
        )
    assert house.executor.run(second) is RunEnd.COMPLETED
    assert source_of(house, second) == "already_created"
    assert house.tasks(plan_id) == before
    assert house.recovery.recover([plan_id], by=APPROVER, request_id=None)[0].action == RecoveryAction.NOT_STUCK


def test_an_analysis_asks_every_channel_and_awaits_approval(house: Pipeline, agents: FakeAgents) -> None:
    plan_id, job_id = requested(house, "amazon", "shopee")
    assert house.executor.run(job_id) is RunEnd.COMPLETED
    plan = house.plan(plan_id)
    assert plan.status == PlanStatus.AWAITING_APPROVAL
    assert plan.plan_data["channels"] == ["amazon", "shopee"]
    assert {opportunity["agent"] for opportunity in plan.plan_data["opportunities"]} == {"amazon", "shopee"}
    assert [agents.agents[name].requests()["count"] for name in ("amazon", "shopee")] == [1, 1]


def test_an_analysis_goes_on_without_an_agent_that_fails_and_says_so(house: Pipeline, agents: FakeAgents) -> None:
    behave(agents, "shopee", "dead")
    plan_id, job_id = requested(house, "amazon", "shopee")
    assert house.executor.run(job_id) is RunEnd.COMPLETED
    assert house.plan(plan_id).notes[-1] == "shopee: the agent failed (network); this channel is empty"


def test_an_answer_without_phase_numbers_is_numbered_and_noted(house: Pipeline, agents: FakeAgents) -> None:
    behave(agents, "amazon", "malformed", variant="missing_phase_numbers")
    plan_id, job_id = requested(house, "amazon")
    assert house.executor.run(job_id) is RunEnd.COMPLETED
    plan = house.plan(plan_id)
    assert [phase["number"] for phase in plan.plan_data["phases"]][:2] == [1, 2]
    assert any("number" in note for note in plan.notes)
    approval = house.approvals.approve(plan_id, by=APPROVER, request_id=None)
    assert house.executor.run(approval.job_id) is RunEnd.COMPLETED
    assert source_of(house, approval.job_id) == "plan"


def test_an_analysis_without_any_answer_is_retried_and_then_fails(house: Pipeline, agents: FakeAgents) -> None:
    behave(agents, "amazon", "dead")
    plan_id, job_id = requested(house, "amazon")
    assert run_to_its_end(house, job_id) is RunEnd.FAILED
    assert house.plan(plan_id).status == PlanStatus.ANALYSIS_FAILED
    assert len(house.attempts(job_id)) == 4
    assert house.dead_letter(job_id) is not None
