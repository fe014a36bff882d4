"""SIGTERM of every process in turn, as a roll-out does."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial

from tests.faults.faulty_stack import FaultyStack
from tests.faults.scenario import Scenario
from tests.faults.verdict import Verdict
from tests.servers import wait_until


def _restart_in_turn(stack: FaultyStack, _busy: Callable[[], bool]) -> None:
    for role in ("worker", "scheduler", "web"):
        pid = stack.signal(role, signal.SIGTERM)
        wait_until(partial(stack.is_another, role, pid), seconds=40, what=f"another {role}")


def _no_crash(_stack: FaultyStack, verdict: Verdict) -> list[str]:
    return [f"{verdict.crashes} runs were cut off"] if verdict.crashes else []


ROLLING_RESTART = Scenario("rolling-restart", "Rolling restart", _restart_in_turn, check=_no_crash)
