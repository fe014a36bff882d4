"""`marketplace run` as a user runs it: a real stack, real signals."""

import json
import os
import signal
import socket
import stat
import subprocess
from functools import partial
from pathlib import Path

import pytest
import requests

from deploy.local.simulations import SimulatedAgents
from deploy.local.story_plans import PLAIN, WITHOUT_PHASE_1
from tests.servers import running_valkey, taken_port, wait_until
from tests.stacks import (
    MARKETPLACE,
    STOP_SECONDS,
    RunningStack,
    approve,
    clean_environment,
    import_plan,
    lives,
    marketplace,
    running_stack,
)

pytestmark = pytest.mark.process


def completed(stack: RunningStack, job_id: str) -> bool:
    return bool(stack.api.get(f"jobs/{job_id}")["status"] == "completed")


def test_a_running_stack_says_where_it_is_and_a_second_start_says_the_same(tmp_path: Path) -> None:
    with running_stack(tmp_path) as stack:
        facts, web = stack.facts, stack.facts["urls"]["web"]

        banner = stack.output()
        assert len(banner.splitlines()) < 15
        for text in (f"{web}/api/docs", f"{web}/api/metrics", "var/admin-token", "kept on restart: yes"):
            assert text in banner
        assert requests.get(f"{web}/api/health/redis", timeout=10).json()["status"] == "connected"
        assert facts["workerMetrics"]
        assert requests.get(facts["workerMetrics"][0], timeout=10).status_code == 200
        for metrics in (*facts["workerMetrics"], *facts["schedulerMetrics"]):
            live = requests.get(metrics.replace("/metrics", "/live"), timeout=10)
            assert (live.status_code, live.json()) == (200, {"status": "alive", "problems": []})
        assert facts["database"] == f"sqlite:///{stack.data}/marketplace.db"
        assert facts["pids"]["supervisor"] == stack.process.pid
        assert stat.S_IMODE((stack.data / "admin-token").stat().st_mode) == 0o600

        status = marketplace("status", "--json", cwd=tmp_path)
        assert status.returncode == 0
        assert json.loads(status.stdout) == {**facts, "alive": dict.fromkeys(facts["pids"], True)}

        second = marketplace("run", cwd=tmp_path)
        assert second.returncode == 0
        assert web in second.stdout
        assert json.loads(marketplace("run", "--json", cwd=tmp_path).stdout) == facts

        assert marketplace("stop", cwd=tmp_path).returncode == 0
        assert stack.process.wait(STOP_SECONDS) == 0
        assert "stopped in " in stack.output()
        assert not (stack.data / "run.json").exists()
        assert marketplace("status", cwd=tmp_path).returncode == 3


def test_a_worker_that_was_killed_comes_back_and_jobs_complete(tmp_path: Path) -> None:
    with running_stack(tmp_path) as stack:
        before = stack.facts["pids"]["worker"]
        os.kill(before[0], signal.SIGKILL)
        job = approve(stack.api, import_plan(stack.api, "Plan", "amazon", PLAIN))
        wait_until(lambda: completed(stack, job), seconds=30, what="the job to complete")
        assert "worker killed by SIGKILL: restarted" in stack.output()
        assert stack.facts["pids"]["worker"] != before


def test_callers_wait_while_the_api_restarts(tmp_path: Path) -> None:
    with running_stack(tmp_path) as stack:
        before = stack.facts["pids"]["web"]
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: "web killed by SIGKILL" in stack.output(), what="the death to be seen")
        answer = requests.get(f"{stack.facts['urls']['web']}/api/health/redis", timeout=60)
        assert answer.json()["status"] == "connected"
        assert stack.facts["pids"]["web"] != before


def test_kill_9_leaves_no_process_and_the_next_start_finds_its_data(tmp_path: Path) -> None:
    with running_stack(tmp_path) as stack:
        plan = import_plan(stack.api, "Plan to keep", "amazon", PLAIN)
        token = (stack.data / "admin-token").read_text()
        pids = stack.pids()
        assert len(pids) >= 8  # supervisor, guard, Valkey, agents, gunicorn and its worker, worker, scheduler
        stack.process.kill()
        wait_until(lambda: not any(lives(pid) for pid in pids), seconds=10, what="every process to go")
    assert (stack.data / "run.json").exists()
    with running_stack(tmp_path) as again:
        assert again.api.get(f"analysis/{plan}")["title"] == "Plan to keep"
        assert (again.data / "admin-token").read_text() == token


def test_ctrl_c_with_20_jobs_in_flight_loses_none(tmp_path: Path) -> None:
    with running_stack(tmp_path) as stack:
        agents = SimulatedAgents(stack.facts["urls"]["agents"])
        agents.behave("amazon", mode="slow", latencyMs=1500)
        plans = [import_plan(stack.api, f"Plan {n}", "amazon", WITHOUT_PHASE_1) for n in range(20)]
        jobs = [approve(stack.api, plan) for plan in plans]
        wait_until(lambda: agents.requests()["amazon"] >= 8, what="jobs to be in flight")
        pids = stack.pids()
        assert stack.stop(signal.SIGINT) == 0
        assert not any(lives(pid) for pid in pids)
    with running_stack(tmp_path) as again:
        for job in jobs:
            wait_until(partial(completed, again, job), seconds=60, what=f"job {job} to complete")
        for plan in plans:
            content = again.api.get(f"analysis/{plan}")
            assert [job["status"] for job in content["jobs"]] == ["completed"]
            assert len(content["tasks"]) == content["jobs"][0]["result"]["taskCount"] > 0


def test_ctrl_c_works_in_a_process_that_a_script_started_in_the_background(tmp_path: Path) -> None:
    with (tmp_path / "output").open("wb") as output:
        # What a shell without job control does for `command &`.
        process = subprocess.Popen(
            ["sh", "-c", f"trap '' INT; exec '{MARKETPLACE}' run"],
            cwd=tmp_path,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    stack = RunningStack(tmp_path, process)
    wait_until((stack.data / "run.lock").exists, what="the supervisor to begin")
    try:
        assert stack.stop(signal.SIGINT) == 0
    finally:
        process.kill()
        process.wait()


def test_a_default_port_that_is_taken_moves_and_that_is_said(tmp_path: Path) -> None:
    with taken_port(8000), running_stack(tmp_path) as stack:
        assert not stack.facts["urls"]["web"].endswith(":8000")
        assert "for 8000 is taken" in stack.output()


@pytest.mark.parametrize("name", ["PORT", "MARKETPLACE_WEB__PORT", "MARKETPLACE_WORKER__METRICS_PORT"])
def test_a_port_that_the_user_chose_and_that_is_taken_is_an_error(name: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = marketplace("run", cwd=tmp_path, **{name: str(port)})
    assert result.returncode == 5
    assert f"port {port} on 127.0.0.1 is taken by " in result.stderr
    assert f"(pid {os.getpid()})" in result.stderr


def test_servers_that_the_settings_name_are_used_instead_of_embedded_ones(
    tmp_path: Path, empty_database_url: str
) -> None:
    (tmp_path / "valkey").mkdir()
    with (
        running_valkey(tmp_path / "valkey") as redis_url,
        running_stack(tmp_path, DATABASE_URL=empty_database_url, REDIS_URL=redis_url) as stack,
    ):
        assert "valkey" not in stack.facts["pids"]
        assert "runs on the Redis that the settings name and the database that they name" in stack.output()
        job = approve(stack.api, import_plan(stack.api, "Plan", "amazon", PLAIN))
        wait_until(lambda: completed(stack, job), seconds=30, what="the job to complete")
        assert not (stack.data / "marketplace.db").exists()


def test_a_database_that_does_not_answer_ends_the_start_with_its_reason(tmp_path: Path) -> None:
    result = marketplace("run", cwd=tmp_path, DATABASE_URL="postgresql://u:s3cret@127.0.0.1:1/market")
    assert result.returncode == 1
    assert "prepare ended with code 1" in result.stderr
    assert "port 1 failed" in result.stderr
    assert "s3cret" not in result.stderr


def test_dotenv_is_read_and_its_mistakes_are_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MARKETPLACE_WEB__PROT=8080\n")
    result = marketplace("run", cwd=tmp_path)
    assert result.returncode == 2
    assert ".env: MARKETPLACE_WEB__PROT: no such setting" in result.stderr
