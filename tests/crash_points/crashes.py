"""What is done to a stack at each row of the crash table."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from app.domain.processes import ProcessRole
from app.failpoints import Failpoint
from tests.crash_points.crash_site import CrashSite
from tests.faults.traffic import Approved
from tests.servers import wait_until

#: Longest wait for a crash to happen; it happens at once unless something is broken.
_CRASH_SECONDS = 30.0


@dataclass(frozen=True)
class Crash:
    """What happened: `at` is the moment of the kill, or of the end of an outage, on the monotonic clock."""

    at: float
    approvals: list[Approved]


def die_at(role: ProcessRole, point: Failpoint, site: CrashSite, *, fails_first: bool) -> Crash:
    """Let one process die at one place, with other jobs around the one that it dies under.

    With `fails_first` an agent fails once, so that a job is tried again, and the sweeper has a hint to send.
    """
    plans = site.new_plans(8)
    if fails_first:
        site.let_agent("error", failFirst=1)
    else:
        site.let_agent("slow", latencyMs=100)
    site.crash_at(role, point)
    with ThreadPoolExecutor(1) as pool:
        approving = pool.submit(site.approve, plans)
        wait_until(lambda: site.has_crashed, seconds=_CRASH_SECONDS, what=f"{role} to reach {point}")
        return Crash(time.monotonic(), approving.result())


def die_in_place(role: ProcessRole, site: CrashSite) -> Crash:
    """Let the API or the scheduler die under a job that it runs in the place of a worker, for Redis is away."""
    plans = site.new_plans(12)
    site.let_agent("slow", latencyMs=100)
    site.stack.valkey.kill()
    site.crash_at(role, Failpoint.JOB_AFTER_CLAIM)
    with ThreadPoolExecutor(1) as pool:
        approving = pool.submit(site.approve, plans)
        wait_until(lambda: site.has_crashed, seconds=_CRASH_SECONDS, what=f"{role} to run a job in place")
        at = time.monotonic()
        # A job that a process died under waits for the quarantine worker, who hears of it through Redis.
        site.stack.valkey.start()
        return Crash(at, approving.result())


def _running_jobs(site: CrashSite, count: int, *, seconds: float) -> list[Approved]:
    """Return jobs that have been approved just now, each of which waits for its agent for so many seconds."""
    plans = site.new_plans(count)
    site.let_agent("slow", latencyMs=round(seconds * 1000))
    return site.approve(plans)


def kill_all_workers(site: CrashSite) -> Crash:
    approvals = _running_jobs(site, 8, seconds=2)
    wait_until(site.holders, what="jobs to run")
    for role in (ProcessRole.WORKER, ProcessRole.QUARANTINE):
        site.stack.signal(role, signal.SIGKILL)
    at = time.monotonic()
    site.let_agent("healthy")
    return Crash(at, approvals)


def lose_host(site: CrashSite) -> Crash:
    with site.stack.another("worker") as worker:
        approvals = _running_jobs(site, 16, seconds=3)
        wait_until(
            lambda: any(f":{worker.pid}:" in owner for owner in site.holders()), what="the other host to hold jobs"
        )
        worker.kill()
        at = time.monotonic()
        site.let_agent("healthy")
        return Crash(at, approvals)


def empty_redis(site: CrashSite) -> Crash:
    approvals = _running_jobs(site, 24, seconds=0.3)
    site.empty_redis()
    return Crash(time.monotonic(), approvals)


def take_redis_away(seconds: float, site: CrashSite, *, emptied: bool) -> Crash:
    before = _running_jobs(site, 12, seconds=1)
    site.stack.valkey.kill()
    returns_at = time.monotonic() + seconds
    meanwhile = _running_jobs(site, 12, seconds=0.1)
    if emptied:
        site.stack.valkey.forget()
    _wait_for_return(returns_at)
    site.stack.valkey.start()
    return Crash(time.monotonic(), before + meanwhile)


def kill_database(seconds: float, site: CrashSite) -> Crash:
    assert site.stack.postgres is not None
    plans = site.new_plans(8)
    before = _running_jobs(site, 8, seconds=2)
    site.stack.postgres.kill()
    returns_at = time.monotonic() + seconds
    with ThreadPoolExecutor(1) as pool:
        approving = pool.submit(site.approve, plans)
        _wait_for_return(returns_at)
        site.stack.postgres.start()
        return Crash(time.monotonic(), before + approving.result())


def set_clock(shift_seconds: int, site: CrashSite) -> Crash:
    """Set the clock, while jobs run, wait and are approved, to be wrong by so many seconds."""
    before = _running_jobs(site, 24, seconds=2)
    wait_until(site.holders, what="jobs to run")
    site.set_clock(shift_seconds)
    at = time.monotonic()
    return Crash(at, before + _running_jobs(site, 8, seconds=0.1))


def _wait_for_return(at: float) -> None:
    wait_until(lambda: time.monotonic() > at, seconds=60, what="the end of the outage")
