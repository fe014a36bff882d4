"""`marketplace verify`: does an installation work, from an approval to its tasks and to what Prometheus sees of it?

What `helm test` runs. It needs no agent: the plan that it brings in has its first phase with it.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import urlsplit

import click
import requests
from prometheus_client.parser import text_string_to_metric_families

from app.cli.output import json_option, print_json, say
from app.cli.remote import Remote, connect
from app.cli.watching import final_state, tell_change
from app.domain.errors import (
    InvalidInputError,
    NetworkError,
    PermanentError,
    RecoverableError,
)
from app.domain.jobs import JobKind, JobStatus
from app.metrics import JOB_RUNS
from deploy.local.story_plans import PLAIN

_POLL_SECONDS = 0.5
_SCRAPE_SECONDS = 5.0
_CHANNEL = "amazon"

_T = TypeVar("_T")


@click.command()
@click.option(
    "--metrics",
    "sources",
    multiple=True,
    metavar="URL",
    help="Where processes tell their metrics; every address of the host is asked. May be given many times.",
)
@click.option(
    "--timeout-seconds",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    help="Seconds to wait at most for each step.",
)
@json_option
def verify(sources: Sequence[str], timeout_seconds: float, *, as_json: bool) -> None:
    """Approve a plan, wait for its tasks, and see that a metric has counted its job.

    The stack is the one that MARKETPLACE_URL names, with an admin's or an approver's token. The plan stays there.
    """
    remote = connect()
    before = _patiently(lambda: phase1_runs(sources), timeout_seconds)
    plan_id, job_id = _patiently(lambda: _approved(remote), timeout_seconds)
    say(f"plan {plan_id} is approved; its job is {job_id}")
    job = final_state(remote, job_id, timeout_seconds=timeout_seconds, on_change=tell_change)
    if job["status"] != JobStatus.COMPLETED:
        raise PermanentError(f"job {job_id} is {job['status']}: {job['error']}")
    tasks = len(remote.get(f"analysis/{plan_id}")["tasks"])
    if tasks != len(PLAIN["phases"][0]["tasks"]):
        raise PermanentError(f"plan {plan_id} has {tasks} tasks")
    say(f"its {tasks} tasks are there")
    counted = _counted(sources, before, timeout_seconds) if sources else None
    if as_json:
        print_json({"planId": plan_id, "jobId": job_id, "tasks": tasks, "countedAt": counted})


def phase1_runs(sources: Sequence[str]) -> dict[str, float]:
    """Return how many Phase 1 runs each process has counted, by its URL with the address in place of the host's name.

    Who does not answer is left out: a role may have no process just now.

    Raises:
        NetworkError: Nobody answers at all.
    """
    found = {url: runs for source in sources for url in _each_address(source) if (runs := _runs_at(url)) is not None}
    if sources and not found:
        raise NetworkError(f"nobody answers at {', '.join(sources)}")
    return found


def _approved(remote: Remote) -> tuple[str, str]:
    title = f"Check of the installation at {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    plan = remote.post("analysis/import", {"title": title, "channels": [_CHANNEL], "planData": PLAIN})
    return plan["planId"], remote.patch(f"analysis/{plan['planId']}", {"action": "approve"})["jobId"]


def _counted(sources: Sequence[str], before: Mapping[str, float], timeout_seconds: float) -> str:
    """Return the URL of the process that has counted a run since `before`; processes may come and go meanwhile."""

    def look() -> str:
        for url, runs in phase1_runs(sources).items():
            if runs > before.get(url, 0.0):
                say(f"{JOB_RUNS.name} has moved at {url}: {before.get(url, 0.0):g} -> {runs:g}")
                return url
        raise NetworkError(f"{JOB_RUNS.name} has not moved at {', '.join(sources)}")

    return _patiently(look, timeout_seconds)


def _patiently(act: Callable[[], _T], timeout_seconds: float) -> _T:
    """Return what `act` does, tried again while it fails for reasons that may pass."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            return act()
        except RecoverableError as error:
            if time.monotonic() > deadline:
                raise
            say(f"once more: {error}")
        time.sleep(_POLL_SECONDS)


def _each_address(source: str) -> Iterator[str]:
    """Yield the URL of each address that the host's name has: each pod behind a headless service.

    Raises:
        InvalidInputError: It is no such URL.
    """
    parts = urlsplit(source)
    if parts.scheme != "http" or not parts.hostname:
        raise InvalidInputError("--metrics", "must be an http:// URL")
    port = parts.port or 80
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError:
        return
    for host in sorted({str(address[0]) for *_, address in found}):
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}{parts.path}"


def _runs_at(url: str) -> float | None:
    try:
        answer = requests.get(url, timeout=_SCRAPE_SECONDS)
        answer.raise_for_status()
    except requests.RequestException:
        return None
    samples = [s for family in text_string_to_metric_families(answer.text) for s in family.samples]
    return sum(s.value for s in samples if s.name == JOB_RUNS.name and s.labels["kind"] == JobKind.PHASE1)
