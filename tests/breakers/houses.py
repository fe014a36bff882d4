"""The breakers of several processes, all in this one: each with its own copies and connections."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from app.breakers.breakers import Breakers
from app.breakers.circuit_view import Turn
from app.breakers.shared_circuits import SharedCircuits
from app.domain.breaker import BreakerRules, CircuitState
from app.domain.errors import CircuitOpenError, NetworkError
from app.job_queue.clients import fail_fast_client
from app.job_queue.gate import RedisGate
from app.live_metrics import LiveMetrics
from app.settings import RedisSettings
from tests.servers import wait_until

AGENT = "amazon"


@contextmanager
def breakers_of(
    redis_url: str, *, processes: int, rules: BreakerRules, on_turn: Callable[[Turn], None] = lambda _turn: None
) -> Iterator[list[Breakers]]:
    """Yield the breakers of so many processes, which share their circuits in a namespace of their own."""
    namespace = f"test:{secrets.token_hex(8)}"
    with ExitStack() as ending:
        houses = []
        for _ in range(processes):
            metrics = LiveMetrics(agents=[AGENT])
            settings = RedisSettings(url=redis_url, fail_fast_timeout_seconds=1.0)
            gate = RedisGate(limit_seconds=1.0, pause_seconds=1.5)
            shared = SharedCircuits(fail_fast_client(settings, metrics), namespace, gate)
            house = Breakers({AGENT: rules}, metrics, shared=shared, on_turn=on_turn)
            ending.callback(house.close)
            house.start()
            houses.append(house)
        yield houses


def in_touch(houses: list[Breakers]) -> list[Breakers]:
    """Return them once each one follows Redis."""
    wait_until(lambda: all(house.in_touch for house in houses), what="the breakers to be in touch")
    return houses


def fail(house: Breakers, times: int = 1, *, agent: str = AGENT) -> None:
    """Make calls that meet a broken connection."""
    for _ in range(times):
        try:
            with house.call(agent, 10.0):
                raise NetworkError("reset")  # noqa: TRY301 -- the call fails
        except NetworkError:
            pass


def succeed(house: Breakers, times: int = 1) -> None:
    """Make calls that are answered."""
    for _ in range(times):
        with house.call(AGENT, 10.0):
            pass


def is_refused(house: Breakers) -> bool:
    """Tell whether a call is refused; one that is not is answered."""
    try:
        succeed(house)
    except CircuitOpenError:
        return True
    return False


def states(houses: list[Breakers]) -> list[CircuitState]:
    """Return what each process takes the circuit for."""
    return [house.view(AGENT).state for house in houses]
