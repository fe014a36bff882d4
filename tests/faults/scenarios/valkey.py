"""What can happen to Valkey: killed and restarted, emptied, away."""

from __future__ import annotations

import time
from collections.abc import Callable

import redis

from tests.faults.faulty_stack import FaultyStack
from tests.faults.scenario import Scenario

_AWAY_SECONDS = 30.0


def _restart(stack: FaultyStack, _busy: Callable[[], bool]) -> None:
    stack.valkey.kill()
    stack.valkey.start()


def _flush(stack: FaultyStack, _busy: Callable[[], bool]) -> None:
    with redis.Redis.from_url(stack.valkey.url) as client:
        client.flushall()


def _stay_away(stack: FaultyStack, _busy: Callable[[], bool]) -> None:
    stack.valkey.kill()
    time.sleep(_AWAY_SECONDS)
    stack.valkey.start()


RESTART_VALKEY = Scenario("restart-valkey", "Valkey killed and restarted, AOF on", _restart)
FLUSH_VALKEY = Scenario("flush-valkey", "Valkey FLUSHALL in mid-run", _flush)
VALKEY_AWAY = Scenario("valkey-away", "Valkey down for 30 s during approvals", _stay_away)
