"""The short form of `make isolation`: no times, only that an agent that hangs leaves the other plans alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.jobs import JobKind
from tests.isolation.arm import stack_with_agents
from tests.isolation.arrivals import Arrived, is_completed, job_of, send, stream
from tests.servers import running_valkey, wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]

#: More of each kind than a worker has threads.
_SICK = 12

#: At the end the calls that hang need not be waited for.
_SETTINGS = {"MARKETPLACE_WORKER__SHUTDOWN_GRACE_SECONDS": "1"}


def test_plans_that_do_without_a_hanging_agent_complete_while_others_wait_for_it(
    database_url: str, tmp_path: Path
) -> None:
    with (
        running_valkey(tmp_path / "valkey") as redis_url,
        stack_with_agents(tmp_path / "stack", database_url, redis_url, hangs=True, **_SETTINGS) as client,
    ):

        def outcomes(arrived: Arrived) -> list[str]:
            return [attempt["outcome"] for attempt in job_of(client, arrived)["attempts"]]

        sick = send(client, stream(client, rate=_SICK, seconds=1, sick=True))()
        wait_until(lambda: all(outcomes(one) for one in sick), seconds=30, what="every sick plan to meet its agent")
        healthy = send(client, stream(client, rate=10, seconds=2, sick=False))()
        wait_until(
            lambda: all(is_completed(job_of(client, one)) for one in healthy), seconds=20, what="the healthy plans"
        )
        # The agent hangs still: no analysis that needs it has come to its end, and most have not been able to ask.
        analyses = [one for one in sick if one.plan.kind is JobKind.ANALYSIS]
        assert not any(is_completed(job_of(client, one)) for one in analyses)
        assert sum("postponed" in outcomes(one) for one in analyses) >= _SICK // 2
