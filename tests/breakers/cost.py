"""What one protected call costs: ours, others' (in an environment of their own), and no breaker, in turn.

Run with the other environment's Python, `python tests/breakers/cost.py NAME REDIS_URL CALLS` measures one of the
others and prints its figures as JSON; it imports nothing of ours.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

#: How many threads make how many calls of which length at once, to see whether calls wait for each other.
THREADS, CALLS_EACH, CALL_SECONDS = 8, 5, 0.05

Protect = Callable[[Callable[[], None]], None]


def answered() -> None:
    """Be the protected call that costs nothing."""


def measure(protect: Protect, *, calls: int, commands: Callable[[], int]) -> dict[str, float]:
    """Return seconds and Redis commands per call, and the seconds that slow calls side by side take."""
    for _ in range(min(calls, 1000)):
        protect(answered)
    before, started = commands(), time.perf_counter()
    for _ in range(calls):
        protect(answered)
    seconds, sent = time.perf_counter() - started, commands() - before
    return {"seconds": seconds / calls, "commands": sent / calls, "sideBySide": side_by_side(protect)}


def side_by_side(protect: Protect) -> float:
    """Return how long slow calls take that are made at the same time."""

    def slow() -> None:
        time.sleep(CALL_SECONDS)

    def call() -> None:
        for _ in range(CALLS_EACH):
            protect(slow)

    threads = [threading.Thread(target=call) for _ in range(THREADS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def _other(name: str, client: Any) -> Protect:  # noqa: ANN401 -- of another environment
    if name == "interlock-cb, Redis":
        from interlock import CircuitBreaker  # type: ignore[import-not-found]  # noqa: PLC0415
        from interlock.integrations.redis import RedisStorage  # type: ignore[import-not-found]  # noqa: PLC0415

        breaker = CircuitBreaker(name="bench", storage=RedisStorage(client))
        return breaker.call  # type: ignore[no-any-return]
    import pybreaker  # type: ignore[import-not-found]  # noqa: PLC0415

    storage = pybreaker.CircuitRedisStorage(pybreaker.STATE_CLOSED, client) if "Redis" in name else None
    lone = pybreaker.CircuitBreaker(fail_max=5, reset_timeout=60, state_storage=storage)
    return lone.call  # type: ignore[no-any-return]


def _main(name: str, url: str, calls: int) -> None:
    import redis  # noqa: PLC0415 -- only this process needs it

    asking = redis.Redis.from_url(url)

    def commands() -> int:
        return sum(found["calls"] for command, found in asking.info("commandstats").items() if "info" not in command)

    print(json.dumps(measure(_other(name, redis.Redis.from_url(url)), calls=calls, commands=commands)))  # noqa: T201


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
