from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import structlog
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError, RedisError, ResponseError

from app.domain.errors import RedisUnavailableError
from app.job_queue.gate import RedisGate


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(clock: Clock) -> Iterator[RedisGate]:
    gate = RedisGate(limit_seconds=0.1, pause_seconds=1.0, clock=clock)
    yield gate
    gate.close()


def answering() -> str:
    return "PONG"


def failing(error: Exception) -> Callable[[], str]:
    def work() -> str:
        raise error

    return work


def translated() -> str:
    """Fail as the queue of hints does: Redis answered, and the queue says so in our words."""
    try:
        raise ReadOnlyError
    except RedisError as error:
        raise RedisUnavailableError("Redis: ReadOnlyError") from error


def fail_once(gate: RedisGate) -> None:
    with pytest.raises(RedisUnavailableError, match="ConnectionError"):
        gate.call(failing(RedisConnectionError("refused")))


def test_an_answer_passes(gate: RedisGate) -> None:
    assert gate.call(answering) == "PONG"


def test_after_a_failure_calls_are_refused_without_being_made(gate: RedisGate) -> None:
    fail_once(gate)
    made = []
    with pytest.raises(RedisUnavailableError, match="a moment ago"):
        gate.call(lambda: made.append(1))
    assert made == []


def test_after_the_pause_a_call_tries_again_and_opens_the_gate(gate: RedisGate, clock: Clock) -> None:
    fail_once(gate)
    clock.now += 1.0
    assert gate.call(answering) == "PONG"
    assert gate.call(answering) == "PONG"


def test_a_try_that_fails_begins_another_pause(gate: RedisGate, clock: Clock) -> None:
    fail_once(gate)
    clock.now += 1.0
    fail_once(gate)
    with pytest.raises(RedisUnavailableError, match="a moment ago"):
        gate.call(answering)


def test_one_call_at_a_time_tries_again(clock: Clock) -> None:
    gate = RedisGate(limit_seconds=10.0, pause_seconds=11.0, clock=clock)
    fail_once(gate)
    clock.now += 11.0
    begun, go_on = threading.Event(), threading.Event()

    def trying() -> str:
        begun.set()
        assert go_on.wait(10)
        return "PONG"

    with ThreadPoolExecutor(1) as other:
        tried = other.submit(gate.call, trying)
        assert begun.wait(10)
        with pytest.raises(RedisUnavailableError, match="a moment ago"):
            gate.call(answering)
        go_on.set()
        assert tried.result(10) == "PONG"
    assert gate.call(answering) == "PONG"
    gate.close()


def test_a_refusal_of_one_call_keeps_the_gate_open(gate: RedisGate) -> None:
    with pytest.raises(RedisUnavailableError, match="NoPermissionError"):
        gate.call(failing(NoPermissionError("NOPERM")))
    assert gate.call(answering) == "PONG"


@pytest.mark.parametrize(
    "work",
    [
        failing(OutOfMemoryError("OOM command not allowed")),
        failing(ResponseError("MISCONF Errors writing to the AOF file")),
        failing(ReadOnlyError("READONLY")),
        translated,
    ],
    ids=["memory full", "disk full", "replica", "in our words"],
)
def test_a_redis_that_refuses_every_write_is_as_good_as_away(gate: RedisGate, work: Callable[[], str]) -> None:
    with pytest.raises(RedisUnavailableError):
        gate.call(work)
    with pytest.raises(RedisUnavailableError, match="a moment ago"):
        gate.call(answering)


def test_nonsense_of_the_server_is_no_answer(gate: RedisGate) -> None:
    with pytest.raises(RedisUnavailableError, match="ValueError"):
        gate.call(failing(ValueError("invalid literal for int()")))
    with pytest.raises(RedisUnavailableError, match="a moment ago"):
        gate.call(answering)


def test_a_call_that_hangs_costs_its_caller_the_limit_and_the_next_ones_nothing(gate: RedisGate) -> None:
    # Whatever hangs: the name service, a handshake in small steps, the command.
    go_on = threading.Event()
    started = time.monotonic()
    with pytest.raises(RedisUnavailableError, match="TimeoutError"):
        gate.call(lambda: go_on.wait(10))
    assert time.monotonic() - started < 5
    for _ in range(1000):
        with pytest.raises(RedisUnavailableError, match="a moment ago"):
            gate.call(answering)
    go_on.set()


def test_calls_that_all_hang_hold_none_of_their_callers_up_for_longer(gate: RedisGate) -> None:
    go_on = threading.Event()

    def ask(_number: int) -> float:
        started = time.monotonic()
        with pytest.raises(RedisUnavailableError):
            gate.call(lambda: go_on.wait(10))
        return time.monotonic() - started

    with ThreadPoolExecutor(40) as callers:
        assert max(callers.map(ask, range(40))) < 5
    go_on.set()


def test_the_beginning_and_the_end_of_a_silence_are_told_once(gate: RedisGate, clock: Clock) -> None:
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            fail_once(gate)
            clock.now += 1.0
        gate.call(answering)
        gate.call(answering)
    assert [entry["event"] for entry in logs] == ["redis_unavailable", "redis_available"]
    assert logs[0]["reason"] == "ConnectionError"
