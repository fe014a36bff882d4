"""Faults from outside, each of which lasts until it shows: a stuck plan, a worker that is killed, Redis away."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from uuid import UUID

from sqlalchemy import update

from app.domain.alerts import REDIS_DOWN, STUCK_PLANS, SYNC_FALLBACK_ACTIVE, Alert
from app.domain.jobs import PlanStatus
from app.metrics import LEASES_REAPED, REDIS_UP
from app.storage.clock import now_plus
from app.storage.schema import plans
from deploy.local.simulations import SimulatedAgents
from deploy.local.story_plans import PLAIN, WITHOUT_PHASE_1
from tests.servers import wait_until
from tests.stacks import RunningStack, approve, database_of, import_plan

#: Longest wait for one thing to be seen, on a machine that is busy with other tests.
_SEEN_SECONDS = 60.0
#: Longer than it takes to kill the process that waits for the answer.
_ANSWER_MILLISECONDS = 3000

#: Tells whether Prometheus finds anything for an expression now.
Sees = Callable[[str], object]


def faults_happen(stack: RunningStack, sees: Sees) -> None:
    """Make one after the other happen, and end well; the stack must be observed, and Prometheus is asked by `sees`."""
    _plan_gets_stuck(stack, sees)
    _worker_dies(stack, sees)
    _redis_is_away(stack, sees)


def _plan_gets_stuck(stack: RunningStack, sees: Sees) -> None:
    """Approve a plan without a job, which the frozen scheduler cannot mend."""
    plan_id = import_plan(stack.api, "Plan without a job", "amazon", PLAIN)
    approved = update(plans).where(plans.c.id == UUID(plan_id)).values(status=PlanStatus.APPROVED)
    with database_of(stack) as database, ExitStack() as until_seen:
        # A process that is frozen within a write transaction blocks all that write: while we write, it has none.
        with database.write() as connection:
            until_seen.enter_context(_frozen(stack.facts["pids"]["scheduler"]))
            connection.execute(approved.values(approved_at=now_plus()))
        # It would fire after a minute, and the supervisor ends what is frozen for more than 10 s.
        _wait(sees, _alert(STUCK_PLANS, "pending"), "the stuck plan to be seen")
    wait_until(lambda: stack.api.get(f"analysis/{plan_id}")["tasks"], seconds=_SEEN_SECONDS, what="the plan's tasks")


def _worker_dies(stack: RunningStack, sees: Sees) -> None:
    """Kill the worker while it runs a job."""
    agents = SimulatedAgents(stack.facts["urls"]["agents"])
    agents.behave("amazon", mode="slow", latencyMs=_ANSWER_MILLISECONDS)
    job_id = approve(stack.api, import_plan(stack.api, "Plan of a dead worker", "amazon", WITHOUT_PHASE_1))

    def status() -> str:
        return str(stack.api.get(f"jobs/{job_id}")["status"])

    wait_until(lambda: status() == "active", seconds=_SEEN_SECONDS, what="the job to run")
    os.kill(stack.facts["pids"]["worker"][0], signal.SIGKILL)
    agents.behave("amazon", mode="healthy")
    _wait(sees, f"{LEASES_REAPED.name} > 0", "its job to be taken back")
    wait_until(lambda: status() == "completed", seconds=_SEEN_SECONDS, what="its job to be done")


def _redis_is_away(stack: RunningStack, sees: Sees) -> None:
    """Freeze the embedded Valkey until the alerts on it fire, and approve a plan meanwhile."""
    with _frozen(stack.facts["pids"]["valkey"]):
        approve(stack.api, import_plan(stack.api, "Plan without Redis", "amazon", PLAIN))
        for alert in (REDIS_DOWN, SYNC_FALLBACK_ACTIVE):
            _wait(sees, _alert(alert, "firing"), f"{alert.name} to fire")
    _wait(sees, f"{REDIS_UP.name} == 1", "Redis to be back")


@contextmanager
def _frozen(pid: int) -> Iterator[None]:
    """Freeze a process, and let it go on; the supervisor may have ended it meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _alert(alert: Alert, state: str) -> str:
    return f'ALERTS{{alertname="{alert.name}", alertstate="{state}"}}'


def _wait(sees: Sees, expr: str, what: str) -> None:
    wait_until(lambda: sees(expr), seconds=_SEEN_SECONDS, what=what)
