"""Counters never go back and levels are never doubled, whatever is killed or restarted: alone, and together."""

from __future__ import annotations

import contextlib
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from app.domain.errors import MarketplaceError
from app.metrics import PIPELINE_METRICS
from loadtest.agent_server import FakeAgents
from tests.observed_processes import ROLES, ObservedProcesses, observed_processes
from tests.servers import ValkeyServer, wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

_SOON = {
    "MARKETPLACE_JOBS__RETRY_DELAYS_SECONDS": "0.2",
    "MARKETPLACE_REDIS__FAIL_FAST_PAUSE_SECONDS": "1",
}

Key = tuple[str, tuple[tuple[str, str], ...]]


@pytest.fixture
def agents() -> Iterator[FakeAgents]:
    with FakeAgents() as agents:
        yield agents


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path / "valkey")
    server.start()
    yield server
    server.stop()


class Watch:
    """Scrapes again and again, and compares with what the same target told before."""

    def __init__(self, processes: ObservedProcesses) -> None:
        self._processes = processes
        self._before: dict[str, dict[Key, float]] = {}

    def look(self, *roles: str) -> None:
        """Scrape these processes; no counter may have gone back."""
        for role in roles:
            now = {
                (sample.name, tuple(sorted(sample.labels.items()))): sample.value
                for family in self._processes.families(role).values()
                if family.type in {"counter", "histogram"} and family.name.startswith("marketplace_")
                for sample in family.samples
            }
            before = self._before.get(role, {})
            assert before.keys() <= now.keys()
            gone_back = {key: (before[key], now[key]) for key in before if now[key] < before[key]}
            assert gone_back == {}, role
            self._before[role] = now

    def forget(self, *roles: str) -> None:
        """Note that these targets begin anew: `rate()` takes a counter that is lower for one that began at 0."""
        for role in roles:
            self._before.pop(role, None)

    def total(self, role: str, name: str, **labels: str) -> float:
        """Return the sum of the samples of this name with these labels."""
        return sum(
            sample.value
            for family in self._processes.families(role).values()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def levels(self) -> Counter[Key]:
        """Return how often the web process tells each level."""
        families = self._processes.families("web")
        return Counter(
            (sample.name, tuple(sorted(sample.labels.items())))
            for metric in PIPELINE_METRICS
            if metric.level
            for sample in families[metric.name].samples
        )


def in_flight(watch: Watch, role: str) -> float:
    return watch.total(role, "marketplace_agent_calls_in_flight")


def completed(watch: Watch) -> float:
    return watch.total("web", "marketplace_queue_completed_jobs", queue="analysis")


def active(watch: Watch) -> float:
    return watch.total("web", "marketplace_queue_active_jobs")


def behave(agents: FakeAgents, mode: str) -> None:
    for agent in ("amazon", "shopee"):
        requests.put(f"{agents.url}/behaviour/{agent}", json={"mode": mode}, timeout=5).raise_for_status()


def requested(processes: ObservedProcesses) -> None:
    processes.api.post("analysis", {"channels": ["amazon", "shopee"], "context": "We sell shoes"})


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "together"])
def test_kills_restarts_and_redis_away(
    agents: FakeAgents, valkey: ValkeyServer, sqlite_template: Path, tmp_path: Path, *, shared: bool
) -> None:
    with observed_processes(tmp_path, sqlite_template, valkey.url, agents.url, shared=shared, **_SOON) as processes:
        watch = Watch(processes)
        processes.start(*ROLES)
        watch.look(*ROLES)
        once = watch.levels()

        behave(agents, "hang")
        for _ in range(3):
            requested(processes)
        wait_until(lambda: in_flight(watch, "worker") >= 2, what="calls to the agents")
        assert active(watch) >= 1
        watch.look(*ROLES)

        processes.stop("worker", number=signal.SIGKILL)
        behave(agents, "healthy")
        others = [role for role in ROLES if role != "worker"]
        watch.look(*others)
        if shared:
            # What the dead worker began is nobody's any more, what the quarantine worker takes over ends; counts stay.
            none = dict.fromkeys(others, 0)
            wait_until(lambda: {role: in_flight(watch, role) for role in others} == none, seconds=60, what="no calls")
            enqueued = "marketplace_jobs_enqueued_total"
            assert [watch.total(role, enqueued) for role in others] == [3, 3, 3]
        else:
            watch.forget("worker")
        processes.start("worker")
        wait_until(lambda: completed(watch) == 3, seconds=60, what="the jobs of the dead worker to be done")
        watch.look(*ROLES)

        valkey.kill()
        wait_until(lambda: watch.total("web", "marketplace_redis_up") == 0, what="Redis to be away")
        with contextlib.suppress(MarketplaceError):
            requested(processes)
        watch.look(*ROLES)
        valkey.start()
        wait_until(lambda: completed(watch) == 4, seconds=60, what="the job of the outage to be done")
        watch.look(*ROLES)

        processes.stop(*ROLES)
        watch.forget(*ROLES)
        processes.start(*ROLES)
        watch.look(*ROLES)
        requested(processes)
        wait_until(lambda: completed(watch) == 5, seconds=60, what="a job after the restart to be done")
        watch.look(*ROLES)

        wait_until(lambda: active(watch) == 0, what="no job to be active")
        assert [in_flight(watch, role) for role in ROLES] == [0] * len(ROLES)
        assert set(once.values()) == set(watch.levels().values()) == {1}
        assert completed(watch) == 5
