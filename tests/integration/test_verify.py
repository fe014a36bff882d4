"""`marketplace verify` against a web process that runs jobs in place."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from deploy.verify import phase1_runs
from tests.servers import free_port
from tests.web_process import MARKETPLACE, Web, environment, running_web

pytestmark = pytest.mark.process


@pytest.fixture
def web(sqlite_template: Path, redis_url: str, tmp_path: Path) -> Iterator[Web]:
    shutil.copyfile(sqlite_template, tmp_path / "marketplace.db")
    with running_web(f"sqlite:///{tmp_path / 'marketplace.db'}", redis_url, tmp_path) as running:
        mode = f"{running.url}/api/marketplace/mode"
        asked = {"mode": "sync", "reason": "no worker runs here"}
        requests.put(mode, json=asked, headers=running.headers, timeout=10).raise_for_status()
        yield running


def verify(web: Web, *arguments: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MARKETPLACE, "verify", "--json", *arguments],
        env=environment(MARKETPLACE_URL=web.url, MARKETPLACE_TOKEN=token or web.token),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_a_plan_gets_its_tasks_and_a_metric_moves(web: Web) -> None:
    metrics = f"{web.url}/api/metrics"
    # A role that has no process just now is no fault.
    result = verify(web, "--metrics", metrics, "--metrics", f"http://127.0.0.1:{free_port()}/metrics")
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert (answer["tasks"], answer["countedAt"]) == (3, metrics)
    assert "marketplace_job_runs_total has moved" in result.stderr
    assert phase1_runs([metrics]) == {metrics: 1.0}


def test_a_stack_whose_metrics_nobody_tells_does_not_pass(web: Web) -> None:
    result = verify(web, "--metrics", f"http://127.0.0.1:{free_port()}/metrics", "--timeout-seconds", "1")
    assert result.returncode == 5
    assert "nobody answers" in result.stderr


def test_a_token_that_the_stack_does_not_know_does_not_pass(web: Web) -> None:
    result = verify(web, token="mp_" + "x" * 43)
    assert result.returncode == 4


def test_an_address_that_is_none_is_a_wrong_argument(web: Web) -> None:
    result = verify(web, "--metrics", "ftp://metrics")
    assert (result.returncode, "--metrics" in result.stderr) == (2, True)
