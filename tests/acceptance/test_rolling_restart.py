"""A rolling restart while plans are approved: nobody notices."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from deploy.local.story_plans import PLAIN
from tests.servers import wait_until
from tests.stacks import RunningStack, approve, import_plan, lives, running_stack

pytestmark = pytest.mark.process

CALLERS = 3


@contextmanager
def steady_approvals(stack: RunningStack) -> Iterator[list[str]]:
    """Yield the growing list of jobs of plans that are approved all the time; at the end no request has failed."""
    jobs: list[str] = []
    stop = threading.Event()

    def approve_on(number: int) -> None:
        # Its own connection, kept between requests as clients do.
        api = stack.api
        while not stop.is_set():
            jobs.append(approve(api, import_plan(api, f"Plan of caller {number}", "amazon", PLAIN)))
            stop.wait(0.05)

    with ThreadPoolExecutor(CALLERS) as pool:
        calling = [pool.submit(approve_on, number) for number in range(CALLERS)]
        try:
            yield jobs
        finally:
            stop.set()
        for caller in calling:
            caller.result()


def more_than(jobs: list[str], count: int) -> bool:
    return len(jobs) > count


def test_a_rolling_restart_under_load_fails_no_request_and_loses_repeats_and_crashes_no_job(tmp_path: Path) -> None:
    with running_stack(tmp_path) as stack:
        with steady_approvals(stack) as jobs:
            for role in ("web", "worker", "quarantine", "scheduler"):
                wait_until(partial(more_than, jobs, len(jobs) + 20), seconds=60, what="approvals before the restart")
                pids = stack.facts["pids"][role]
                pid = pids if isinstance(pids, int) else pids[0]
                os.kill(pid, signal.SIGTERM)
                wait_until(lambda pid=pid: not lives(pid), seconds=40, what=f"the end of {role}")  # type: ignore[misc]
                wait_until(lambda role=role: f"{role} is ready again" in stack.output(), seconds=40, what=role)  # type: ignore[misc]
            wait_until(partial(more_than, jobs, len(jobs) + 20), seconds=60, what="approvals after the last restart")
        for job_id in jobs:
            wait_until(
                lambda path=f"jobs/{job_id}": stack.api.get(path)["status"] == "completed",  # type: ignore[misc]
                seconds=60,
                what="the job to complete",
            )
            job = stack.api.get(f"jobs/{job_id}")
            assert {attempt["outcome"] for attempt in job["attempts"]} <= {"completed", "released"}
            plan = stack.api.get(f"analysis/{job['planId']}")
            assert (len(plan["jobs"]), len(plan["tasks"])) == (1, 3)
        # No job retried, failed or lost its process.
        assert stack.api.get("diagnostics")["retries"] == []
