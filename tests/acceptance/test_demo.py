"""`marketplace demo` as a user runs it."""

import json
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.servers import taken_port, wait_until
from tests.stacks import MARKETPLACE, STOP_SECONDS, RunningStack, clean_environment, lives, marketplace

pytestmark = pytest.mark.process


def test_the_demo_shows_the_whole_story_even_with_port_8000_taken(tmp_path: Path) -> None:
    with taken_port(8000):
        result = marketplace(
            "demo", "--svg", "demo.svg", cwd=tmp_path, MARKETPLACE_JOBS__MAX_RETRIES="0", DATABASE_URL="x"
        )
    assert result.returncode == 0, result.stdout + result.stderr
    for text in (
        "for 8000 is taken",
        "without phase numbers (mended)",
        "server_error, again after 1 s",
        "5 failures in a row",
        "stopped in",
    ):
        assert text in result.stdout
    table = [line.strip("│").split("│") for line in result.stdout.splitlines() if "│" in line]
    rows = {cells[0].strip(): cells[1].strip() for cells in table}
    assert {"agent", "generated", "minimal", "plan"} <= set(rows)
    assert rows["Agents called"] == "6"
    assert rows["Plans approved"] == "55"
    completed, failed = rows["Jobs"].split(", ")
    # Eleven analyses at least; the healed agent may be asked once more before everybody knows of its closed circuit.
    assert int(completed.removesuffix(" completed")) >= 66
    assert failed == "1 failed"
    assert rows["Dead letters retried with success"] == "1"
    assert rows["Circuit of the dead agent"].startswith("open, closed by itself after ")
    assert rows["Retries"] == "1"
    assert [part.split()[1] for part in rows["Tasks by source"].split(", ")] == [
        "agent",
        "generated",
        "minimal",
        "plan",
    ]
    assert rows["Approved to completed"].startswith("p50 ")
    assert (rows["Lost"], rows["Duplicated"]) == ("0", "0")
    assert not (tmp_path / "var" / "demo" / "run.json").exists()
    picture = (tmp_path / "demo.svg").read_text()
    assert "The stack is up" in picture.replace("&#160;", " ")
    assert "url(http" not in picture.replace('"', "")


def test_the_demo_begins_afresh_each_time_and_ctrl_c_ends_it_without_a_trace(tmp_path: Path) -> None:
    data = tmp_path / "var" / "demo"
    data.mkdir(parents=True)
    (data / "marketplace.db").write_text("from the demo before, and broken")
    (data / "notes.txt").write_text("not ours")
    process = subprocess.Popen(
        [MARKETPLACE, "demo"],
        cwd=tmp_path,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    stack = RunningStack(tmp_path, process)
    stack.data = data
    try:
        wait_until((data / "run.json").exists, seconds=60, what="the stack to be ready")
        pids = stack.pids()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=STOP_SECONDS)
        assert process.returncode == 130
        assert not any(lives(pid) for pid in pids)
        assert "worker_stopped" in (data / "logs" / "worker.log").read_text(), "the worker was not let finish"
        assert (data / "notes.txt").exists()
    finally:
        process.kill()
        process.communicate()


def test_the_demo_can_be_read_by_a_program_and_fails_with_a_reason(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = marketplace("demo", "--json", cwd=tmp_path, PORT=str(port))
    assert (result.returncode, result.stdout) == (5, "")
    assert f"port {port} on 127.0.0.1 is taken" in result.stderr


def test_the_summary_can_be_read_by_a_program(tmp_path: Path) -> None:
    result = marketplace("demo", "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert (summary["lost"], summary["duplicated"]) == (0, 0)
    assert summary["plansApproved"] == 55
    assert 5 <= summary["circuitOpenSeconds"] < 30
