"""The short form of `make deadlines`, which measures on a quiet machine how late a call ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.agent_round import AgentRound
from app.agents.configuration import AgentConfig
from app.analysis_job import AnalysisJob
from app.domain.jobs import JobKind
from app.job_execution import RunEnd
from app.phase_one import PhaseOne
from app.settings import JobSettings
from app.storage.database import Database
from loadtest.agent_behaviours import Behaviour
from loadtest.agent_server import FakeAgents
from tests.deadlines.ends import ends
from tests.deadlines.hostile_servers import SERVERS
from tests.gateways import gateway_to
from tests.pipeline import APPROVER, Pipeline

#: Seconds that each call gets, and how late a busy machine may be.
_GIVEN = 0.8
_LATE = 4.0


def test_no_hostile_server_holds_a_call_beyond_its_deadline_or_fills_the_memory(tmp_path: Path) -> None:
    found = ends(tmp_path, seconds=_GIVEN)
    assert [end.name for end in found] == [server.name for server in SERVERS]
    assert [what for end in found for what in end.missed(late=_LATE)] == []


@pytest.mark.parametrize("kind", list(JobKind))
def test_one_deadline_holds_for_all_calls_of_an_attempt(database: Database, redis_url: str, kind: JobKind) -> None:
    pipeline = Pipeline(database, redis_url, JobSettings(phase1_attempt_seconds=1, analysis_attempt_seconds=1))
    modes = {"amazon": Behaviour(mode="hang", latency_ms=0), "shopee": Behaviour(mode="drip", latency_ms=0)}
    with FakeAgents(behaviours=modes) as agents:
        configs = [
            AgentConfig(name=name, channel=name, url=f"{agents.url}/{name}/v1", model="m", timeout_seconds=30)
            for name in modes
        ]
        gateway = gateway_to(configs, pipeline.metrics)
        asking = AgentRound(database, gateway, pipeline.metrics, cache_seconds=0)
        pipeline.bodies[JobKind.PHASE1] = PhaseOne(database, asking, pipeline.metrics)
        pipeline.bodies[JobKind.ANALYSIS] = AnalysisJob(database, asking)
        if kind is JobKind.PHASE1:
            job_id = pipeline.approved({"summary": "no phases"}, tuple(modes))
        else:
            job_id = pipeline.analyses.request(
                title="Shoes", channels=tuple(modes), context="", origin="analysis", by=APPROVER, request_id=None
            ).job_id
        assert pipeline.executor.run(job_id) is RunEnd.RETRYING
        (attempt,) = pipeline.attempts(job_id)
        assert attempt.error_code == "timeout"
        # The agents' own timeout is 30 s, and the answer that drips would take minutes.
        assert (attempt.ended_at - attempt.started_at).total_seconds() < 1 + _LATE
    pipeline.close()
