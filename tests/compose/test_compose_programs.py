"""The compose file, as Docker Compose of today and of Debian 12 read it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.compose.compose_file import FILE, compose, debian_compose, packaged_compose, run_compose

_DEMO = ("--env-file", "deploy/compose/demo.env")
_PROGRAMS = pytest.mark.parametrize(
    "program", [pytest.param(debian_compose, id="1.29"), pytest.param(packaged_compose, id="today's")]
)


@cache
def _done(program: Callable[[], Path], *options: str) -> subprocess.CompletedProcess[str]:
    return run_compose(program(), *options, "--file", FILE, "config")


def _config(program: Callable[[], Path], *options: str) -> Mapping[str, Any]:
    done = _done(program, *options)
    assert done.returncode == 0, done.stderr
    document: Mapping[str, Any] = yaml.safe_load(done.stdout)
    return document


@_PROGRAMS
def test_it_is_valid_without_any_setting(program: Callable[[], Path]) -> None:
    services = _config(program)["services"]
    assert set(services) >= {"web", "worker", "quarantine", "scheduler", "relay", "migrate", "grafana"}


@_PROGRAMS
def test_nothing_is_warned_of(program: Callable[[], Path]) -> None:
    assert _done(program).stderr == ""


def test_only_the_demo_has_agents_and_a_slack() -> None:
    # The older program lists the services of every profile.
    started = set(_config(packaged_compose)["services"])
    assert set(compose()["services"]) - started == {"agents", "slack"}
    assert set(_config(packaged_compose, *_DEMO)["services"]) == set(compose()["services"])


@_PROGRAMS
def test_the_demo_settings_reach_the_processes(program: Callable[[], Path]) -> None:
    services = _config(program, *_DEMO)["services"]
    assert services["worker"]["environment"]["MARKETPLACE_OUTBOUND__ALLOW_PRIVATE_AGENTS"] == "true"
    assert services["relay"]["environment"]["MARKETPLACE_RELAY__SLACK_WEBHOOK_URL"].startswith("http://slack:8201/")
    mounted = [str(volume) for volume in services["worker"]["volumes"]]
    assert any("demo-agents.yaml" in volume for volume in mounted)


def test_both_understand_the_same() -> None:
    old, new = (_config(program, *_DEMO)["services"] for program in (debian_compose, packaged_compose))
    for field in ("command", "environment", "user", "read_only", "cap_drop", "security_opt", "restart", "tmpfs"):
        assert {name: one.get(field) for name, one in old.items()} == {
            name: one.get(field) for name, one in new.items()
        }, field
