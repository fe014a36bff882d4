"""How fast a call to an open circuit is answered: by the gateway alone, and with its fallback out of the database."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import requests
from pydantic import SecretStr

from app.agent_round import AgentRound
from app.agents.configuration import AgentConfig
from app.agents.question import Question
from app.domain.deadline import Deadline
from app.domain.errors import CircuitOpenError, MarketplaceError
from app.domain.jobs import JobKind
from app.live_metrics import LiveMetrics
from app.settings import DatabaseSettings
from app.storage.database import Database
from app.storage.transitions import Claim
from loadtest.agent_server import FakeAgents
from loadtest.verdict import quantile
from tests.gateways import gateway_to

_QUESTION = Question("analysis", "amazon", "Shoes", "Sales fell in May.", None)


@dataclass(frozen=True)
class Refusals:
    """Seconds per refused call, alone and with its fallback, and how many requests reached the agent meanwhile."""

    alone: list[float]
    with_fallback: list[float]
    reached: int

    def quantiles(self) -> dict[str, tuple[float, float]]:
        """Return p50 and p99 of both."""
        both = {"gateway": self.alone, "with fallback": self.with_fallback}
        return {name: (quantile(times, 0.5) or 0.0, quantile(times, 0.99) or 0.0) for name, times in both.items()}


def refusals(agents: FakeAgents, database_url: str, *, count: int) -> Refusals:
    """Let an agent answer once, fail five times, and then be asked `count` times."""
    metrics = LiveMetrics(agents=["amazon"])
    config = AgentConfig(name="amazon", channel="amazon", url=f"{agents.url}/amazon/v1", model="fake")
    gateway = gateway_to([config], metrics)
    claim = _claim()
    with closing(Database(DatabaseSettings(url=SecretStr(database_url)))) as database:
        asking = AgentRound(database, gateway, metrics, cache_seconds=3600)
        _behave(agents, mode="healthy", latencyMs=0)
        (first,) = asking.ask([_QUESTION], Deadline.after(30), claim)
        if first.plan is None:
            raise RuntimeError("the agent did not answer")
        _behave(agents, mode="error")
        for _ in range(5):
            with suppress(MarketplaceError):
                gateway.ask("amazon", _QUESTION, Deadline.after(30))
        before = _requests(agents)

        def refused() -> None:
            with suppress(CircuitOpenError):
                gateway.ask("amazon", _QUESTION, Deadline.after(30))

        def fallen_back() -> None:
            (answer,) = asking.ask([_QUESTION], Deadline.after(30), claim)
            if not answer.is_fallback or answer.plan is None:
                raise RuntimeError("no fallback")

        return Refusals(_timed(refused, count), _timed(fallen_back, count), _requests(agents) - before)


def _timed(work: Callable[[], None], count: int) -> list[float]:
    times = []
    for _ in range(count):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return times


def _claim() -> Claim:
    now = datetime.now(UTC)
    return Claim(
        job_id=uuid4(),
        plan_id=uuid4(),
        kind=JobKind.ANALYSIS,
        fence=1,
        attempt_number=1,
        error_count=0,
        timeout_seconds=30,
        seconds_left=30,
        created_at=now,
        request_id=None,
    )


def _behave(agents: FakeAgents, **behaviour: object) -> None:
    requests.put(f"{agents.url}/behaviour/amazon", json=behaviour, timeout=5).raise_for_status()


def _requests(agents: FakeAgents) -> int:
    return int(requests.get(f"{agents.url}/requests/amazon", timeout=5).json()["count"])
