"""Exemplars: the job behind an observation, told in OpenMetrics and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from app.agent_round import AgentRound
from app.agents.configuration import AgentConfig
from app.analysis_job import AnalysisJob
from app.domain.jobs import JobKind
from app.job_execution import RunEnd
from loadtest.agent_server import FakeAgents
from tests.api import Api
from tests.gateways import gateway_to
from tests.pipeline import APPROVER, Pipeline
from tests.scrape import METRICS_URL

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@pytest.fixture
def agents() -> Iterator[FakeAgents]:
    with FakeAgents() as agents:
        yield agents


def exemplars(text: str) -> Mapping[str, set[str]]:
    """Return the jobs that each metric names."""
    found: dict[str, set[str]] = {}
    for family in parse_openmetrics(text):
        for sample in family.samples:
            if sample.exemplar is not None:
                assert set(sample.exemplar.labels) == {"job_id"}
                found.setdefault(family.name, set()).add(sample.exemplar.labels["job_id"])
    return found


def test_a_job_that_asks_an_agent_stands_behind_three_histograms(pipeline: Pipeline, agents: FakeAgents) -> None:
    amazon = AgentConfig(name="amazon", channel="amazon", url=f"{agents.url}/amazon/v1", model="fake")
    asking = AgentRound(pipeline.database, gateway_to([amazon], pipeline.metrics), pipeline.metrics, cache_seconds=60)
    pipeline.bodies[JobKind.ANALYSIS] = AnalysisJob(pipeline.database, asking)
    job_id = pipeline.analyses.request(
        title="Shoes", channels=["amazon"], context="We sell", origin="analysis", by=APPROVER, request_id=None
    ).job_id
    assert pipeline.executor.run(job_id) is RunEnd.COMPLETED
    assert exemplars(generate_openmetrics(pipeline.metrics.registry).decode()) == {
        "marketplace_job_duration_seconds": {str(job_id)},
        "marketplace_job_completion_seconds": {str(job_id)},
        "marketplace_agent_call_duration_seconds": {str(job_id)},
    }
    assert str(job_id) not in generate_latest(pipeline.metrics.registry).decode()


def test_the_endpoint_tells_exemplars_to_whoever_asks_for_openmetrics(sqlite_api: Api) -> None:
    _, job_id = sqlite_api.approved()
    sqlite_api.executor().run(job_id)
    asked = sqlite_api.call("GET", METRICS_URL, None, headers=OPENMETRICS).get_data(as_text=True)
    assert exemplars(asked)["marketplace_job_duration_seconds"] == {str(job_id)}
    assert str(job_id) not in sqlite_api.get(METRICS_URL, None).get_data(as_text=True)
