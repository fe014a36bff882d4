"""`make run` and `make observe` with a real Prometheus and Alertmanager beside the stack."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.prometheus_server import need_prometheus
from tests.servers import wait_until
from tests.stacks import clean_environment, lives, marketplace, running_stack

pytestmark = pytest.mark.process


def test_it_observes_every_process_and_leaves_nothing_behind(tmp_path: Path) -> None:
    need_prometheus()
    settings = {"MARKETPLACE_MONITORING__SCRAPE_SECONDS": "1", "MARKETPLACE_MONITORING__RETENTION_HOURS": "48"}
    with running_stack(tmp_path, "--observe", **settings) as stack:
        urls, pids = stack.facts["urls"], stack.pids()
        assert urls["prometheus"] in stack.output()
        up = wait_until(lambda: _all_up(urls["prometheus"]), seconds=60, what="every target to be up")
        ours = {"marketplace-web", "marketplace-worker", "marketplace-scheduler", "marketplace-relay"}
        assert up == ours | {"prometheus", "alertmanager"}
        assert _prometheus(urls, "status/runtimeinfo")["storageRetention"] == "2d"
        groups = _prometheus(urls, "rules")["groups"]
        assert groups
        assert requests.get(f"{urls['alertmanager']}/api/v2/status", timeout=5).json()["config"]["original"]
        managers = wait_until(
            lambda: _prometheus(urls, "alertmanagers")["activeAlertmanagers"], what="Prometheus to find Alertmanager"
        )
        assert managers[0]["url"].startswith(urls["alertmanager"])

        killed = stack.facts["pids"]["prometheus"]
        os.kill(killed, signal.SIGKILL)
        wait_until(
            lambda: stack.facts["pids"].get("prometheus", killed) != killed and _is_ready(urls["prometheus"]),
            seconds=60,
            what="Prometheus to be started again",
        )
        pids += stack.pids()
        assert stack.stop() == 0
        assert not [pid for pid in pids if lives(pid)]


def test_without_the_programs_observe_says_how_to_get_them_and_run_does_without(tmp_path: Path) -> None:
    nowhere = os.pathsep.join(
        folder for folder in clean_environment()["PATH"].split(os.pathsep) if not (Path(folder) / "prometheus").exists()
    )
    result = marketplace("run", "--observe", cwd=tmp_path, PATH=nowhere)
    assert result.returncode == 2
    assert "Prometheus and Alertmanager: not found on the PATH" in result.stderr
    assert "apt-get install" in result.stderr
    assert "make tools" in result.stderr
    assert not (tmp_path / "var" / "run.json").exists()


def _all_up(url: str) -> set[str]:
    targets = _prometheus({"prometheus": url}, "targets")["activeTargets"]
    return {target["labels"]["job"] for target in targets} if all(t["health"] == "up" for t in targets) else set()


def _prometheus(urls: dict[str, str], path: str) -> dict[str, Any]:
    answer = requests.get(f"{urls['prometheus']}/api/v1/{path}", timeout=5)
    answer.raise_for_status()
    data: dict[str, Any] = answer.json()["data"]
    return data


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/-/ready", timeout=2).ok
    except requests.ConnectionError:
        return False
