"""How long a pod gets to stop: always longer than its process takes to finish."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from app.settings import Settings
from tests.chart.helm_cli import CHART
from tests.chart.manifest_files import container, pod_spec
from tests.chart.rendering import refused, render

_SETTINGS = Settings()
_GRACE = {
    "web": _SETTINGS.web.graceful_timeout_seconds,
    "worker": _SETTINGS.worker.shutdown_grace_seconds,
    "quarantine": _SETTINGS.worker.shutdown_grace_seconds,
    "scheduler": max(_SETTINGS.scheduler.shutdown_grace_seconds, _SETTINGS.webhooks.timeout_seconds),
    "relay": _SETTINGS.relay.slack_timeout_seconds,
}
#: Beyond the process's own grace: jobs are given back, connections closed.
_MARGIN = 15


def _seconds(role: str, values: Mapping[str, Any] | None = None) -> int:
    found = pod_spec(render(values).one("Deployment", f"demo-marketplace-{role}"))
    seconds: int = found["terminationGracePeriodSeconds"]
    return seconds


@pytest.mark.parametrize("role", _GRACE)
def test_a_pod_gets_its_own_grace_and_a_margin(role: str) -> None:
    pause = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))[role]["preStopSeconds"]
    assert _seconds(role) == pause + _GRACE[role] + _MARGIN


def test_a_worker_outlives_a_whole_attempt_of_phase_1() -> None:
    assert _seconds("worker") > _SETTINGS.jobs.phase1_attempt_seconds + _MARGIN


@pytest.mark.parametrize(
    "values",
    [
        {"settings": {"MARKETPLACE_WORKER__SHUTDOWN_GRACE_SECONDS": 40.5}},
        {"extraEnv": [{"name": "MARKETPLACE_WORKER__SHUTDOWN_GRACE_SECONDS", "value": "40.5"}]},
        {
            "settings": {"MARKETPLACE_WORKER__SHUTDOWN_GRACE_SECONDS": 99},
            "worker": {"extraEnv": [{"name": "MARKETPLACE_WORKER__SHUTDOWN_GRACE_SECONDS", "value": 40.5}]},
        },
    ],
    ids=["setting", "variable-of-all", "variable-of-the-role"],
)
def test_it_follows_the_setting_wherever_that_is_given(values: Mapping[str, Any]) -> None:
    assert _seconds("worker", values) == 41 + _MARGIN


def test_the_scheduler_waits_for_the_longest_of_its_works() -> None:
    assert _seconds("scheduler", {"settings": {"MARKETPLACE_WEBHOOKS__TIMEOUT_SECONDS": 60}}) == 60 + _MARGIN


def test_the_api_serves_on_until_load_balancers_know() -> None:
    web = container(render().one("Deployment", "demo-marketplace-web"))
    assert web["lifecycle"] == {"preStop": {"exec": {"command": ["sleep", "5"]}}}
    assert _seconds("web", {"web": {"preStopSeconds": 20}}) == 20 + _GRACE["web"] + _MARGIN
    assert "lifecycle" not in container(render().one("Deployment", "demo-marketplace-worker"))


def test_a_time_of_ones_own_is_taken_when_it_is_long_enough() -> None:
    assert _seconds("worker", {"worker": {"terminationGracePeriodSeconds": 300}}) == 300


@pytest.mark.parametrize("role", _GRACE)
def test_a_time_that_would_break_work_off_is_refused(role: str) -> None:
    message = refused({role: {"terminationGracePeriodSeconds": 5}})
    assert f"{role}.terminationGracePeriodSeconds: 5 s kills it before it has stopped" in message


def test_a_grace_shorter_than_an_attempt_is_refused_with_both_settings() -> None:
    message = refused({"settings": {"MARKETPLACE_JOBS__PHASE1_ATTEMPT_SECONDS": 30}})
    assert "MARKETPLACE_WORKER__SHUTDOWN_GRACE_SECONDS of worker: 15 s" in message
    assert "MARKETPLACE_JOBS__PHASE1_ATTEMPT_SECONDS (30 s)" in message
