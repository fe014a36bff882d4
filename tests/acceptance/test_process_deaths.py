"""Processes that die or freeze in a running stack: what they held runs again soon, once, and nothing else suffers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.local.restarts import SETTLED_SECONDS
from deploy.local.simulations import SimulatedAgents
from deploy.local.story_plans import PLAIN, WITHOUT_PHASE_1
from tests.servers import wait_until
from tests.stacks import RunningStack, approve, import_plan, lives, running_stack

pytestmark = pytest.mark.process

#: What the stack runs of the product.
ROLES = {"web", "worker", "quarantine", "scheduler"}

#: How long an agent takes to answer, in milliseconds.
LENGTH = 1500
#: Seconds within which a job must run again on a machine that is busy with other tests; a quiet one takes two or three.
SOON = 20.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Return a stack that every test leaves as it found it: with all its processes."""
    with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(autouse=True)
def owners(stack: RunningStack) -> set[str]:
    """Return the owners of the processes, when all of them run."""
    return wait_until(lambda: owners_of(stack), what="all processes to run")


def owners_of(stack: RunningStack) -> set[str]:
    """Return the owners of the processes that the database and the directory show, nothing unless all are there."""
    seen = {process["owner"] for process in stack.api.get("diagnostics")["processes"]}
    files = {path.name.removesuffix(".lock") for path in (stack.data / "processes").iterdir()}
    return seen if {owner.partition("@")[0] for owner in seen} == ROLES and seen == files else set()


def process_of(owners: set[str], role: str) -> int:
    """Return the id of the process that shows itself: for the API, that of gunicorn's worker."""
    [found] = [owner for owner in owners if owner.startswith(f"{role}@")]
    return int(found.split(":")[1])


def all_replaced(stack: RunningStack, before: set[str], roles: set[str] = ROLES) -> bool:
    """Tell whether each of these processes has another one in its place, and the rest is as before."""
    after = owners_of(stack)
    return bool(after) and {owner.partition("@")[0] for owner in after - before} == roles


def jobs_in_flight(stack: RunningStack, count: int) -> list[str]:
    """Return jobs that wait for a slow agent, all at the same moment."""
    SimulatedAgents(stack.facts["urls"]["agents"]).behave("amazon", mode="slow", latencyMs=LENGTH)
    plans = [import_plan(stack.api, f"Plan {n}", "amazon", WITHOUT_PHASE_1) for n in range(count)]
    jobs = [approve(stack.api, plan) for plan in plans]
    wait_until(lambda: all(job_of(stack, job)["status"] == "active" for job in jobs), what="all jobs to run")
    return jobs


def job_of(stack: RunningStack, job_id: str) -> dict[str, Any]:
    return stack.api.get(f"jobs/{job_id}")


def wait_for_end(stack: RunningStack, jobs: list[str]) -> list[dict[str, Any]]:
    """Return the jobs when all of them have ended, each with the tasks of its plan created once."""
    wait_until(
        lambda: all(job_of(stack, job)["status"] in {"completed", "failed"} for job in jobs),
        seconds=60,
        what="all jobs to end",
    )
    ended = [job_of(stack, job) for job in jobs]
    assert [job["status"] for job in ended] == ["completed"] * len(jobs)
    for job in ended:
        plan = stack.api.get(f"analysis/{job['planId']}")
        assert len(plan["jobs"]) == 1
        assert len(plan["tasks"]) == job["result"]["taskCount"] > 0
    return ended


def seconds_until_run_again(jobs: list[dict[str, Any]], since: datetime) -> list[float]:
    """Return how long after `since` each job's second attempt began."""
    return sorted((datetime.fromisoformat(job["attempts"][1]["startedAt"]) - since).total_seconds() for job in jobs)


def test_jobs_of_a_worker_that_was_killed_run_again_soon_and_complete_once(
    stack: RunningStack, owners: set[str]
) -> None:
    jobs = jobs_in_flight(stack, 4)
    killed_at = datetime.now(UTC)
    os.kill(process_of(owners, "worker"), signal.SIGKILL)
    ended = wait_for_end(stack, jobs)
    for job in ended:
        assert [attempt["outcome"] for attempt in job["attempts"]] == ["lost", "completed"]
        assert job["attempts"][0]["error"]["code"] == "process_died"
    assert seconds_until_run_again(ended, killed_at)[-1] < SOON
    wait_until(lambda: all_replaced(stack, owners, {"worker"}), what="the worker to be replaced")


def test_frozen_processes_are_ended_and_their_jobs_run_again(stack: RunningStack, owners: set[str]) -> None:
    jobs = jobs_in_flight(stack, 2)
    frozen = [process_of(owners, role) for role in ROLES]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: not any(map(lives, frozen)), seconds=40, what="the frozen processes to be ended")
    wait_for_end(stack, jobs)
    wait_until(lambda: all_replaced(stack, owners), what="all to be replaced")
    assert "worker gave no sign of life for 10 s and is killed" in stack.output()


def test_a_frozen_server_that_is_not_ours_is_left_alone(stack: RunningStack, owners: set[str]) -> None:
    valkey = stack.facts["pids"]["valkey"]
    for pid in (valkey, process_of(owners, "scheduler")):
        os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: all_replaced(stack, owners, {"scheduler"}), seconds=40, what="the scheduler to be replaced")
        assert lives(valkey)
    finally:
        os.kill(valkey, signal.SIGCONT)
    assert stack.facts["pids"]["valkey"] == valkey


def test_all_processes_come_back_after_kill_9(stack: RunningStack, owners: set[str]) -> None:
    for role in ROLES:
        os.kill(process_of(owners, role), signal.SIGKILL)
    wait_until(lambda: all_replaced(stack, owners), seconds=40, what="all to be replaced")
    wait_for_end(stack, [approve(stack.api, import_plan(stack.api, "Plan", "amazon", PLAIN))])


def test_processes_that_are_stopped_leave_nothing_to_give_back(stack: RunningStack, owners: set[str]) -> None:
    log = stack.data / "logs" / "scheduler.log"
    told = log.read_text().count("process_died")
    # One that the test before has made end early would be started again after a pause only.
    settled_at = time.monotonic() + SETTLED_SECONDS
    wait_until(lambda: time.monotonic() > settled_at, what="all processes to have settled")
    pids = stack.facts["pids"]
    for role in ROLES:
        os.kill(pids[role] if isinstance(pids[role], int) else pids[role][0], signal.SIGTERM)
    wait_until(lambda: all_replaced(stack, owners), seconds=40, what="all to be replaced")
    assert all(f"{role} ended with code 0: restarted" in stack.output() for role in ROLES)
    assert log.read_text().count("process_died") == told


def test_a_second_sigterm_ends_a_worker_with_jobs_in_flight_at_once(stack: RunningStack, owners: set[str]) -> None:
    jobs = jobs_in_flight(stack, 2)
    worker = process_of(owners, "worker")
    os.kill(worker, signal.SIGTERM)
    os.kill(worker, signal.SIGTERM)
    wait_until(lambda: not lives(worker), seconds=10, what="its end")
    wait_for_end(stack, jobs)


def test_a_worker_that_is_killed_every_5_seconds_loses_nothing_and_does_not_end_the_stack(stack: RunningStack) -> None:
    jobs = []
    started = time.monotonic()
    for kill in range(5):
        plans = [import_plan(stack.api, f"Plan {kill}.{n}", "amazon", PLAIN) for n in range(20)]
        jobs += [approve(stack.api, plan) for plan in plans]
        os.kill(stack.facts["pids"]["worker"][0], signal.SIGKILL)
        next_at = started + 5 * (kill + 1)
        wait_until(lambda at=next_at: time.monotonic() > at, what="the next five seconds")  # type: ignore[misc]
    wait_for_end(stack, jobs)
    assert stack.process.poll() is None
