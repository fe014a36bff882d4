"""Plans that are asked for by the clock: those that need one agent, and those that do without it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain.jobs import JobKind
from loadtest.agent_behaviours import AGENTS
from loadtest.plans import ready_plan
from tests.bench.latency import Client

#: The agent that hangs, and the others.
SICK = "kaway"
HEALTHY = tuple(agent for agent in AGENTS if agent != SICK)

_API = "/api/marketplace"
#: Requests that may be under way at once; far more than the rates need.
_SENDERS = 32


@dataclass(frozen=True)
class Plan:
    """A plan that is asked for at `at` seconds; `plan_id` is set for one that is there and waits for its approval."""

    at: float
    kind: JobKind
    channels: Sequence[str]
    plan_id: str | None = None

    @property
    def is_sick(self) -> bool:
        """Whether it needs the agent that hangs."""
        return SICK in self.channels


@dataclass(frozen=True)
class Arrived:
    """A plan whose job exists."""

    plan: Plan
    job_id: str


def stream(client: Client, *, rate: float, seconds: float, sick: bool) -> list[Plan]:
    """Return plans for `seconds`, `rate` a second of each kind of job, evenly spaced.

    Plans without the sick agent ask one of the others in turn, so that their times are those of one call. Plans with
    it ask another one too. For Phase 1 jobs the plans are brought in now, without a phase 1 of their own.
    """
    plans = []
    for number in range(round(rate * seconds)):
        other = HEALTHY[number % len(HEALTHY)]
        channels = (SICK, other) if sick else (other,)
        at = number / rate
        plans.append(Plan(at, JobKind.ANALYSIS, channels))
        # Between two analyses, so that the two kinds do not come at the same moment.
        plans.append(Plan(at + 0.5 / rate, JobKind.PHASE1, channels))
    chance = random.Random(f"{rate} {sick}")
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda plan: _brought_in(client, plan, chance.randrange(10**9)), plans))


def send(client: Client, plans: Sequence[Plan]) -> Callable[[], list[Arrived]]:
    """Begin to ask for every plan at its time; the function that is returned waits until all have been asked for.

    An answer that comes late delays no other plan.
    """
    started = time.monotonic()
    pool = ThreadPoolExecutor(_SENDERS)

    def ask(plan: Plan) -> Arrived:
        time.sleep(max(0.0, started + plan.at - time.monotonic()))
        return Arrived(plan, _asked_for(client, plan))

    asked: list[Future[Arrived]] = [pool.submit(ask, plan) for plan in sorted(plans, key=lambda plan: plan.at)]

    def arrived() -> list[Arrived]:
        with pool:
            return [future.result() for future in asked]

    return arrived


def job_of(client: Client, arrived: Arrived) -> dict[str, Any]:
    """Return the job as the API tells it."""
    return client.call("GET", f"{_API}/jobs/{arrived.job_id}")


def is_completed(job: dict[str, Any]) -> bool:
    """Tell whether it has its result."""
    return bool(job["status"] == "completed")


def seconds_of(job: dict[str, Any]) -> float | None:
    """Return the seconds from birth to completion, by the product's own clock; None while it is not completed."""
    if not is_completed(job):
        return None
    return (datetime.fromisoformat(job["completedAt"]) - datetime.fromisoformat(job["createdAt"])).total_seconds()


def _brought_in(client: Client, plan: Plan, number: int) -> Plan:
    if plan.kind is JobKind.ANALYSIS:
        return plan
    body = ready_plan(random.Random(number), plan.channels[0], tasks=1)
    data = body["planData"]
    assert isinstance(data, dict)
    body |= {"channels": list(plan.channels), "planData": data | {"phases": [], "channels": list(plan.channels)}}
    answer = client.call("POST", f"{_API}/analysis/import", body)
    return Plan(plan.at, plan.kind, plan.channels, str(answer["planId"]))


def _asked_for(client: Client, plan: Plan) -> str:
    if plan.plan_id is not None:
        return str(client.call("PATCH", f"{_API}/analysis/{plan.plan_id}", {"action": "approve"})["jobId"])
    body = {
        "title": f"Isolation {plan.at:.3f}",
        "channels": list(plan.channels),
        "context": f"{'sick' if plan.is_sick else 'healthy'} {plan.at:.3f}",
    }
    return str(client.call("POST", f"{_API}/analysis", body)["jobId"])
