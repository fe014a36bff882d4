"""One arm: a stack of its own, its streams of plans, and what became of those that do without the sick agent."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from loadtest.agent_behaviours import AGENTS
from loadtest.verdict import quantile
from tests.bench.latency import Client, running_stack
from tests.isolation.arrivals import SICK, Plan, is_completed, job_of, seconds_of, send, stream
from tests.servers import wait_until

#: Median of an agent's answer: calls take from about 100 to 600 ms.
LATENCY_MS = 200

#: Plans are given so long after the last of them came, in seconds; those open after that count as never completed.
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Load:
    """Arrivals per second of each kind of job; plans that come in the first `warm_up` seconds are not measured."""

    rate: float
    sick_rate: float
    warm_up: float
    seconds: float


@dataclass(frozen=True)
class Arm:
    """What became of the measured plans without the sick agent, and of all plans with it.

    `seconds` has one entry per plan without it, infinite for one that was not completed in time. `sick_answered` counts
    the plans with it that its answer completed, `postponed` how often they were put off. `window` is in seconds.
    """

    seconds: Sequence[float]
    sick: int
    sick_answered: int
    postponed: int
    window: float

    @property
    def completed(self) -> int:
        """How many were completed."""
        return sum(math.isfinite(one) for one in self.seconds)

    @property
    def throughput(self) -> float:
        """Completed plans per second of arrivals."""
        return self.completed / self.window

    def percentile(self, percent: float) -> float:
        """Return this percentile in seconds; infinite when fewer were completed."""
        return quantile(list(self.seconds), percent / 100) or 0.0


def together(arms: Sequence[Arm]) -> Arm:
    """Return several runs as one."""
    return Arm(
        [one for arm in arms for one in arm.seconds],
        sum(arm.sick for arm in arms),
        sum(arm.sick_answered for arm in arms),
        sum(arm.postponed for arm in arms),
        sum(arm.window for arm in arms),
    )


@contextmanager
def stack_with_agents(
    directory: Path, database_url: str, redis_url: str, *, hangs: bool, **settings: str
) -> Iterator[Client]:
    """Yield a client of a stack whose six agents answer, or all but the sick one."""
    with running_stack(directory, database_url, redis_url, **settings) as client:
        agents = json.loads((directory / "run.json").read_text())["urls"]["agents"]
        for agent in AGENTS:
            mode = "hang" if hangs and agent == SICK else "healthy"
            behaviour = {"mode": mode, "latencyMs": 0 if mode == "hang" else LATENCY_MS}
            requests.put(f"{agents}/behaviour/{agent}", json=behaviour, timeout=10).raise_for_status()
        yield client


def play(directory: Path, database_url: str, redis_url: str, load: Load, *, hangs: bool, **settings: str) -> Arm:
    """Run one arm."""
    with stack_with_agents(directory, database_url, redis_url, hangs=hangs, **settings) as client:
        seconds = load.warm_up + load.seconds
        plans: list[Plan] = [
            *stream(client, rate=load.rate, seconds=seconds, sick=False),
            *stream(client, rate=load.sick_rate, seconds=seconds, sick=True),
        ]
        arrived = send(client, plans)()
        measured = [one for one in arrived if not one.plan.is_sick and one.plan.at >= load.warm_up]

        def all_completed() -> bool:
            return all(is_completed(job_of(client, one)) for one in measured[-20:])

        # Those that are late even then count as that.
        with contextlib.suppress(AssertionError):
            wait_until(all_completed, seconds=PATIENCE_SECONDS)
        sick = [job_of(client, one) for one in arrived if one.plan.is_sick]
        found = [seconds_of(job_of(client, one)) for one in measured]
    return Arm(
        [math.inf if one is None else one for one in found],
        len(sick),
        sum(_is_answered(job) for job in sick),
        sum(attempt["outcome"] == "postponed" for job in sick for attempt in job["attempts"]),
        load.seconds,
    )


def _is_answered(job: Mapping[str, Any]) -> bool:
    """Tell whether the agents' own answers completed the job: nothing stood in for any of them."""
    result = job["result"]
    if not result:
        return False
    return not any(report["fallback"] for report in result.get("channels") or result.get("agents") or ())
