"""What `make breakers` measures over real processes: how fast news travel, the storm, Redis away and back."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import redis
import requests

from app.breakers.breakers import Breakers
from app.breakers.shared_circuits import SharedCircuits
from app.domain.breaker import BreakerRules, Move, MoveKind
from app.job_queue.clients import fail_fast_client
from app.job_queue.gate import RedisGate
from app.live_metrics import LiveMetrics
from app.settings import RedisSettings
from loadtest.agent_server import FakeAgents
from tests.breakers.asking_process import AskingProcess, asking_processes
from tests.breakers.cost import measure
from tests.servers import ValkeyServer, wait_until

#: `requirements/compare.lock` is in there.
OTHERS = Path(".venv-compare/bin/python")
OTHER_NAMES = ("pybreaker, memory", "pybreaker, Redis", "interlock-cb, Redis")

_SOON = {"MARKETPLACE_BREAKERS__OPEN_SECONDS": "1"}


def news_seconds(agents: FakeAgents, redis_url: str, database_url: str, *, rounds: int) -> list[float]:
    """Return how long after the fifth failure in one process the circuit is open in another, round by round."""
    found = []
    _behave(agents, mode="error")
    with asking_processes(2, agents_url=agents.url, redis_url=redis_url, database_url=database_url, **_SOON) as both:
        asking, watching = both
        for _ in range(rounds):
            wait_until(lambda: not watching.view()["secondsUntilRetry"], what="the circuit to let calls through")
            _reset(redis_url, both)
            asking.ask(4)
            watching.begin("watch")
            (fifth,) = asking.ask()
            found.append(max(0.0, watching.answer()["at"] - fifth["at"]))
    return found


def _reset(redis_url: str, processes: Sequence[AskingProcess]) -> None:
    """Let every process take the circuit for closed again, without a call."""
    settings = RedisSettings(url=redis_url)
    metrics = LiveMetrics(agents=["amazon"])
    shared = SharedCircuits(
        fail_fast_client(settings, metrics), settings.namespace, RedisGate(limit_seconds=1, pause_seconds=2)
    )
    with closing(shared):
        lone = Breakers({"amazon": BreakerRules()}, metrics, shared=shared)
        lone.operate("amazon", Move(MoveKind.RESET))
    wait_until(lambda: {process.view()["state"] for process in processes} == {"closed"}, what="the news")


@dataclass(frozen=True)
class Storm:
    """How many of the calls of a storm reached the agent, and how many were refused."""

    calls: int
    reached: int
    refused: int


def storm(agents: FakeAgents, redis_url: str, database_url: str) -> Storm:
    """Make 200 calls from 4 processes at the moment of half-open; the agent takes longer than all of them."""
    _behave(agents, mode="error")
    with asking_processes(4, agents_url=agents.url, redis_url=redis_url, database_url=database_url, **_SOON) as four:
        four[0].ask(5)
        _behave(agents, mode="hang")
        before = _requests(agents)
        wait_until(lambda: {process.view()["state"] for process in four} == {"half_open"}, what="half-open")
        for process in four:
            process.begin("ask", calls=50, threads=50)
        outcomes = [call["outcome"] for process in four for call in process.answer()]
        return Storm(len(outcomes), _requests(agents) - before, outcomes.count("circuit_open"))


@dataclass(frozen=True)
class Outage:
    """A circuit that was open when Redis was killed: what each process took it for then, and after its return."""

    away: list[str]
    slowest_refusal: float
    agreed_after: float
    back: list[str]


def outage(agents: FakeAgents, server: ValkeyServer, database_url: str, *, keeps: bool) -> Outage:
    """Kill Redis while a circuit is open over 3 processes, and start it again, with its data or empty."""
    _behave(agents, mode="error")
    with asking_processes(3, agents_url=agents.url, redis_url=server.url, database_url=database_url) as three:
        three[0].ask(5)
        wait_until(lambda: {process.view()["state"] for process in three} == {"open"}, what="the news")
        server.kill()
        refused = [process.ask(20) for process in three]
        away = [calls[-1]["outcome"] for calls in refused]
        if not keeps:
            server.forget()
        started = time.monotonic()
        server.start()
        wait_until(lambda: all(process.view()["inTouch"] for process in three), what="all to be back in touch")
        agreed = time.monotonic() - started
        back = [process.view()["state"] for process in three]
        slowest = max(call["seconds"] for calls in refused for call in calls)
        return Outage(away, slowest, agreed, back)


def costs(redis_url: str, *, calls: int, rounds: int) -> dict[str, list[dict[str, float]]]:
    """Return the cost of a call in each way, measured in turn, round by round."""
    names = ["no breaker", "ours, Redis", *(OTHER_NAMES if OTHERS.exists() else ())]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            found[name].append(_cost(name, redis_url, calls))
    return found


def _cost(name: str, redis_url: str, calls: int) -> dict[str, float]:
    if name == "no breaker":
        return measure(lambda work: work(), calls=calls, commands=lambda: 0)
    if name == "ours, Redis":
        return _our_cost(redis_url, calls)
    # Those that ask Redis for each call are asked less often.
    fewer = max(1, calls // 20) if name == "pybreaker, Redis" else calls
    done = subprocess.run(
        [OTHERS, "tests/breakers/cost.py", name, redis_url, str(fewer)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def _our_cost(redis_url: str, calls: int) -> dict[str, float]:
    settings, metrics = RedisSettings(url=redis_url), LiveMetrics(agents=["amazon"])
    gate = RedisGate(limit_seconds=1, pause_seconds=2)
    shared = SharedCircuits(fail_fast_client(settings, metrics), "{cost}", gate)
    house = Breakers({"amazon": BreakerRules()}, metrics, shared=shared)
    house.start()
    wait_until(lambda: house.in_touch, what="the breaker to follow Redis")
    with closing(house), redis.Redis.from_url(redis_url) as client:

        def protect(work: object) -> None:
            with house.call("amazon", 30.0):
                work()  # type: ignore[operator]

        def commands() -> int:
            """Return the commands that the server has run; those of the clock, one script a second, are no call's."""
            return sum(found["calls"] for name, found in client.info("commandstats").items() if "info" not in name)

        return measure(protect, calls=calls, commands=commands)


def _behave(agents: FakeAgents, **behaviour: object) -> None:
    requests.put(f"{agents.url}/behaviour/amazon", json=behaviour, timeout=5).raise_for_status()


def _requests(agents: FakeAgents) -> int:
    return int(requests.get(f"{agents.url}/requests/amazon", timeout=5).json()["count"])
