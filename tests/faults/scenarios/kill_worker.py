"""kill -9 of the worker every 5 s."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from tests.faults.faulty_stack import FaultyStack
from tests.faults.scenario import Scenario

_PAUSE_SECONDS = 5.0
#: The same number whatever the size of the run, so that runs compare.
_KILLS = 5


def _kill_again_and_again(stack: FaultyStack, busy: Callable[[], bool]) -> None:
    for number in range(_KILLS):
        stack.signal("worker", signal.SIGKILL)
        if not busy():
            return
        if number < _KILLS - 1:
            time.sleep(_PAUSE_SECONDS)


KILL_WORKER = Scenario("kill-worker", "kill -9 of the worker every 5 s", _kill_again_and_again)
