"""The rollback plan with the commands that docs/howto/rollback.md names, on a real stack with slow agents."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.local.simulations import SimulatedAgents
from deploy.local.story_plans import WITHOUT_PHASE_1
from tests.servers import ended, wait_until
from tests.stacks import MARKETPLACE, RunningStack, approve, clean_environment, import_plan, marketplace, running_stack

pytestmark = pytest.mark.process

JOBS = 50
PHASE1 = ("--queue", "phase1-tasks")
REASON = ("--reason", "tasks are doubled")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[RunningStack]:
    """Return a stack whose agents take two seconds to answer."""
    with running_stack(tmp_path) as stack:
        SimulatedAgents(stack.facts["urls"]["agents"]).behave("amazon", mode="slow", latencyMs=2000)
        yield stack


def fill(stack: RunningStack, count: int = JOBS) -> list[str]:
    """Pause the queues, and approve plans whose jobs ask an agent; return the plans."""
    stack.api.post("queue/pause", {"reason": "to fill it"})
    plans = [import_plan(stack.api, f"Plan {n}", "amazon", WITHOUT_PHASE_1) for n in range(count)]
    for plan in plans:
        approve(stack.api, plan)
    return plans


def approved_as(stack: RunningStack, title: str) -> str:
    """Approve one plan more; return the mode of the answer, with `pending` for one that waits."""
    plan = import_plan(stack.api, title, "amazon", WITHOUT_PHASE_1)
    answer = stack.api.patch(f"analysis/{plan}", {"action": "approve"})
    if answer["mode"] == "sync":
        tasks = stack.api.get(f"analysis/{plan}")["tasks"]
        assert sorted(answer["taskIds"]) == sorted(task["taskId"] for task in tasks) != []
    return str(answer["mode"])


def phase1(stack: RunningStack) -> dict[str, Any]:
    """Return the queue of Phase 1 jobs."""
    queue: dict[str, Any] = stack.api.get("queue")["items"][1]
    return queue


def statuses(stack: RunningStack, plans: list[str]) -> Counter[str]:
    """Count the jobs of plans by status; each plan has one."""
    jobs = [stack.api.get(f"analysis/{plan}")["jobs"] for plan in plans]
    assert {len(found) for found in jobs} == {1}
    return Counter(found[0]["status"] for found in jobs)


@contextmanager
def watching(stack: RunningStack, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a `marketplace queue drain` that has seen the queue, its output in files `out` and `err`."""
    out, err = stack.directory / "out", stack.directory / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [MARKETPLACE, "queue", "drain", *PHASE1, *REASON, *options],
            cwd=stack.directory,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
        with ended(process):
            wait_until(lambda: " left" in err.read_text(), what="the drain to be seen")
            yield process


def last_line(stack: RunningStack) -> str:
    return (stack.directory / "out").read_text().splitlines()[-1]


def everything_on(terminal: int) -> str:
    """Read a terminal until nobody writes to it any more, which Linux tells as an error."""
    shown = b""
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 65536):
            shown += chunk
    os.close(terminal)
    return shown.decode("utf-8", "replace")


def test_the_rollback_plan_loses_no_job_and_the_way_back_works(stack: RunningStack) -> None:
    plans = fill(stack)
    stack.api.post("queue/resume", {"reason": "begin"})
    wait_until(lambda: phase1(stack)["active"] > 0, what="jobs to run")

    # Stop: nothing new is claimed, what runs ends, the rest waits.
    stack.api.post("queue/pause", {"reason": "tasks are doubled"})
    wait_until(lambda: phase1(stack)["active"] == 0, seconds=10, what="the running jobs to end")
    queue = phase1(stack)
    # Those that found their agent busy wait for their turn.
    waiting = queue["pendingDue"] + queue["pendingDelayed"]
    found = statuses(stack, plans)
    assert found == {"pending": waiting, "completed": JOBS - waiting}
    assert waiting > 0

    again = marketplace("queue", "pause", *REASON, "--json", cwd=stack.directory)
    assert [queue["state"] for queue in json.loads(again.stdout)] == ["paused", "paused"]

    # Run jobs in place: even a pause does not stop what an operator has ordered.
    assert approved_as(stack, "Waits") == "queue"
    assert marketplace("mode", "sync", *REASON, cwd=stack.directory).returncode == 0
    assert approved_as(stack, "In sync mode") == "sync"

    # Archive what is there.
    file = stack.directory / "queue.ndjson"
    assert marketplace("queue", "archive", str(file), cwd=stack.directory).returncode == 0
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert Counter(line["type"] for line in lines) == {"archive": 1, "job": waiting + 1, "end": 1}
    assert marketplace("queue", "archive", str(file), cwd=stack.directory).returncode == 2

    # Drain, interrupted and taken up again.
    with watching(stack) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    assert last_line(stack).startswith("draining: ")
    assert " left" in last_line(stack)
    assert "Next: marketplace queue drain --queue phase1-tasks --reason TEXT" in last_line(stack)
    assert phase1(stack)["state"] == "draining"
    assert marketplace("mode", "queue", *REASON, cwd=stack.directory).returncode == 0
    assert approved_as(stack, "During the drain") == "sync"
    drained = marketplace("queue", "drain", *PHASE1, *REASON, "--timeout", "60", "--json", cwd=stack.directory)
    assert drained.returncode == 0, drained.stderr
    assert json.loads(drained.stdout)["state"] == "drained"
    assert statuses(stack, plans) == {"completed": JOBS}
    for plan in plans:
        content = stack.api.get(f"analysis/{plan}")
        assert len(content["tasks"]) == content["jobs"][0]["result"]["taskCount"] > 0

    assert approved_as(stack, "When it is drained") == "sync"

    # And back.
    assert marketplace("queue", "resume", *REASON, cwd=stack.directory).returncode == 0
    assert approved_as(stack, "When it is resumed") == "queue"

    def every() -> Counter[str]:
        return Counter(job["status"] for job in stack.api.items("jobs", limit=2 * JOBS))

    wait_until(lambda: every() == {"completed": JOBS + 5}, what="the last jobs to complete")


def test_a_drain_of_50_slow_jobs_ends_drained_and_shows_a_bar_on_a_terminal(stack: RunningStack) -> None:
    fill(stack)
    terminal, end = pty.openpty()
    with (stack.directory / "out").open("wb") as out:
        process = subprocess.Popen(
            [MARKETPLACE, "queue", "drain", *REASON],
            cwd=stack.directory,
            env=clean_environment(TERM="xterm"),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=end,
        )
    os.close(end)
    with ended(process):
        shown = everything_on(terminal)
        assert process.wait(10) == 0
    assert "━" in shown
    assert f"/{JOBS}" in shown
    assert last_line(stack).startswith("drained: new approvals run in place, new analyses wait. ")
    assert statuses(stack, [job["planId"] for job in stack.api.items("jobs", limit=JOBS)]) == {"completed": JOBS}


def test_a_drain_ends_with_a_name_when_somebody_pauses_and_when_its_time_is_up(stack: RunningStack) -> None:
    fill(stack)
    short = marketplace("queue", "drain", *PHASE1, *REASON, "--timeout", "0.1", cwd=stack.directory)
    assert short.returncode == 1
    assert short.stdout.startswith("draining: not done in time; the drain goes on. phase1-tasks draining: ")
    stack.api.post("queue/pause", {"reason": "wait"})
    with watching(stack) as process:
        stack.api.post("queue/pause", {"reason": "one of them is mad"})
        assert process.wait(10) == 1
    assert last_line(stack).startswith("paused: switched by ")
    assert "(one of them is mad)" in last_line(stack)


def test_the_mode_is_switched_and_back(stack: RunningStack) -> None:
    assert marketplace("mode", "sync", cwd=stack.directory).returncode == 2
    assert marketplace("mode", "sync", *REASON, cwd=stack.directory).returncode == 0
    shown = marketplace("mode", "show", "--json", cwd=stack.directory)
    assert (json.loads(shown.stdout)["mode"], json.loads(shown.stdout)["reason"]) == ("sync", "tasks are doubled")
    assert marketplace("mode", "queue", *REASON, cwd=stack.directory).returncode == 0
    table = marketplace("queue", "show", cwd=stack.directory)
    assert table.returncode == 0
    assert "phase1-tasks" in table.stdout
