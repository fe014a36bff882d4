"""The short form of `make quiet`: some seconds of healthy load raise no alert, and a fault does."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.alerts import CIRCUIT_OPENED
from deploy.local.agents_program import CHANNELS
from deploy.local.simulations import SimulatedAgents
from tests.prometheus_server import need_prometheus
from tests.quiet.__main__ import observed
from tests.stacks import running_stack

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]


def test_only_the_watchdog_fires_under_healthy_load_and_others_when_an_agent_dies(tmp_path: Path) -> None:
    need_prometheus()
    with running_stack(tmp_path, "--observe", MARKETPLACE_MONITORING__SCRAPE_SECONDS="1") as stack:
        healthy = observed(stack, minutes=0.25, rate=4, shorten=4)
        assert healthy["plans"] + healthy["analyses"] == 60
        assert (healthy["errors"], healthy["fired"], healthy["pending"]) == (0, {}, {})
        assert healthy["watchdog"]

        SimulatedAgents(stack.facts["urls"]["agents"]).behave(CHANNELS[0], mode="dead")
        sick = observed(stack, minutes=0.25, rate=4, shorten=1)
        assert CIRCUIT_OPENED.name in sick["fired"]
