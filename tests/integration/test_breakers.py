"""Breakers of several processes that share their circuits through a real Valkey, and what they do without it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import redis

import app.breakers.circuits as module
from app.breakers.breakers import Breakers
from app.breakers.circuit_view import Turn
from app.domain.breaker import BreakerRules, CircuitState, Move, MoveKind, TurnCause
from app.domain.errors import (
    BadAnswerError,
    CircuitOpenError,
    DeadlineExceededError,
    NotFoundError,
    RateLimitedError,
    RedisUnavailableError,
    RemoteAuthError,
)
from app.live_metrics import LiveMetrics
from tests.breakers.houses import AGENT, breakers_of, fail, in_touch, is_refused, states, succeed
from tests.redis_states import LASTING, frozen
from tests.servers import ValkeyServer, wait_until

RULES = BreakerRules(failure_threshold=5, open_seconds=60, success_threshold=2, half_open_probes=2)
SOON = BreakerRules(failure_threshold=5, open_seconds=0.3, success_threshold=2, half_open_probes=2)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    """Return a server that the test may stop."""
    server = ValkeyServer(tmp_path / "valkey")
    server.start()
    yield server
    server.stop()


def test_failures_are_counted_over_all_processes_and_all_of_them_refuse(redis_url: str) -> None:
    turns: list[Turn] = []
    with breakers_of(redis_url, processes=3, rules=RULES, on_turn=turns.append) as houses:
        first, second, third = in_touch(houses)
        fail(first, 2)
        fail(second, 2)
        assert not any(is_refused_without_a_call(house) for house in houses)
        fail(third)
        wait_until(lambda: states(houses) == [CircuitState.OPEN] * 3, what="all to hear of it")
        assert all(map(is_refused, houses))
    assert [(turn.before, turn.after, turn.cause) for turn in turns] == [
        (CircuitState.CLOSED, CircuitState.OPEN, TurnCause.FAILURES)
    ]
    assert (turns[0].error_code, turns[0].error) == ("network", "reset")


def is_refused_without_a_call(house: Breakers) -> bool:
    return house.view(AGENT).state is not CircuitState.CLOSED


def test_a_success_in_another_process_counts_failures_anew(redis_url: str) -> None:
    with breakers_of(redis_url, processes=2, rules=RULES) as houses:
        first, second = in_touch(houses)
        fail(first, 4)
        wait_until(lambda: second.view(AGENT).failures == 4, what="the news")
        succeed(second)
        wait_until(lambda: first.view(AGENT).failures == 0, what="the news")
        fail(first, 4)
        assert states(houses)[0] is CircuitState.CLOSED


def test_a_call_that_passes_a_closed_circuit_costs_no_command(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROUND_SECONDS", 600.0)
    with breakers_of(redis_url, processes=1, rules=RULES) as houses, redis.Redis.from_url(redis_url) as client:
        (house,) = in_touch(houses)
        before = scripts_run(client)
        succeed(house, 1000)
        assert scripts_run(client) == before
        fail(house)
        assert scripts_run(client) == before + 1


def scripts_run(client: redis.Redis) -> int:
    return int(client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


def test_probes_are_counted_over_all_processes(redis_url: str) -> None:
    with breakers_of(redis_url, processes=4, rules=SOON) as houses:
        in_touch(houses)
        fail(houses[0], 5)
        wait_until(lambda: states(houses) == [CircuitState.HALF_OPEN] * 4, what="its time to be over")
        passed, refused = stormed(houses, calls=200)
        assert (passed, refused) == (2, 198)
        wait_until(lambda: states(houses) == [CircuitState.CLOSED] * 4, what="it to close")
        assert not any(map(is_refused, houses))


def stormed(houses: list[Breakers], *, calls: int) -> tuple[int, int]:
    """Make so many calls at once; return how many passed, and how many were refused before the first one ended."""
    all_asked, begin = threading.Event(), threading.Barrier(calls)
    passed, refused = [], []

    def ask(number: int) -> None:
        begin.wait(30)
        try:
            with houses[number % len(houses)].call(AGENT, 60.0):
                passed.append(number)
                assert all_asked.wait(30)
        except CircuitOpenError:
            refused.append(number)
        if len(refused) + len(passed) == calls:
            all_asked.set()

    with ThreadPoolExecutor(calls) as pool:
        list(pool.map(ask, range(calls)))
    return len(passed), len(refused)


def test_a_slow_call_makes_no_other_wait() -> None:
    house = Breakers({AGENT: RULES}, LiveMetrics(agents=[AGENT]))
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        with house.call(AGENT, 60.0):
            inside.set()
            assert go_on.wait(30)

    with ThreadPoolExecutor(1) as pool:
        calling = pool.submit(slow)
        assert inside.wait(30)
        succeed(house)
        fail(house, 5)
        assert is_refused(house)
        go_on.set()
        calling.result(30)


def test_an_open_circuit_stays_open_while_redis_is_away_and_after(server: ValkeyServer) -> None:
    with breakers_of(server.url, processes=3, rules=RULES) as houses:
        in_touch(houses)
        fail(houses[0], 5)
        wait_until(lambda: states(houses) == [CircuitState.OPEN] * 3, what="all to hear of it")
        server.kill()
        wait_until(lambda: not any(house.in_touch for house in houses), what="all to be alone")
        assert all(map(is_refused, houses))
        server.forget()
        server.start()
        in_touch(houses)
        assert states(houses) == [CircuitState.OPEN] * 3
        left = [house.view(AGENT).seconds_until_retry for house in houses]
        assert max(left) - min(left) < 1


@pytest.mark.parametrize("keeps", [True, False], ids=["kept", "empty"])
def test_processes_that_went_apart_while_redis_was_away_agree_again(server: ValkeyServer, *, keeps: bool) -> None:
    with breakers_of(server.url, processes=3, rules=RULES) as houses:
        in_touch(houses)
        fail(houses[0], 2)
        wait_until(lambda: {house.view(AGENT).failures for house in houses} == {2}, what="the news")
        server.kill()
        wait_until(lambda: not any(house.in_touch for house in houses), what="all to be alone")
        fail(houses[1], 3)
        fail(houses[2], 1)
        assert states(houses) == [CircuitState.CLOSED, CircuitState.OPEN, CircuitState.CLOSED]
        if not keeps:
            server.forget()
        server.start()
        in_touch(houses)
        wait_until(lambda: states(houses) == [CircuitState.OPEN] * 3, what="one common state")


def test_redis_that_was_emptied_under_way_is_told_again(server: ValkeyServer) -> None:
    with (
        breakers_of(server.url, processes=1, rules=RULES) as houses,
        redis.Redis.from_url(server.url) as client,
    ):
        (house,) = in_touch(houses)
        fail(house, 5)
        client.flushall()
        wait_until(client.keys, what="the circuit to be there again")
        assert house.view(AGENT).state is CircuitState.OPEN


def test_a_frozen_redis_is_asked_no_more_than_once(server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROUND_SECONDS", 600.0)
    with breakers_of(server.url, processes=1, rules=RULES) as houses:
        (house,) = in_touch(houses)
        with frozen(server.url):
            fail(house)
            assert not house.in_touch
            fail(house, 4)
            assert is_refused(house)


def test_a_redis_that_is_slow_for_a_moment_lets_no_probe_too_many_through(server: ValkeyServer) -> None:
    rules = BreakerRules(failure_threshold=1, open_seconds=0.3, success_threshold=2, half_open_probes=1)
    with breakers_of(server.url, processes=2, rules=rules) as houses:
        first, second = in_touch(houses)
        fail(first)
        wait_until(lambda: states(houses) == [CircuitState.HALF_OPEN] * 2, what="its time to be over")
        with first.call(AGENT, 60.0):
            wait_until(lambda: second.view(AGENT).probes == 1, what="the news")
            second._circuits._copies[AGENT] = replace(second._circuits.copy(AGENT), probes={})
            with frozen(server.url):
                assert is_refused(second)
                assert not second.in_touch
                assert is_refused(second)
        in_touch(houses)
        # The question that was lost holds no place either.
        wait_until(lambda: not second.view(AGENT).probes, what="its place to be free")
        succeed(second)
        wait_until(lambda: states(houses) == [CircuitState.CLOSED] * 2, what="it to close")


@pytest.mark.parametrize("state", LASTING)
def test_without_redis_a_process_breaks_alone(state: str) -> None:
    # Long enough for a busy machine to see it refuse.
    rules = replace(SOON, open_seconds=3.0)
    with LASTING[state]() as url, breakers_of(url, processes=1, rules=rules) as houses:
        (house,) = houses
        fail(house, 5)
        assert is_refused(house)
        wait_until(lambda: house.view(AGENT).state is CircuitState.HALF_OPEN, what="its time to be over")
        succeed(house, 2)
        assert house.view(AGENT).state is CircuitState.CLOSED
        assert not house.in_touch


def test_an_operator_needs_redis() -> None:
    house = Breakers({AGENT: RULES}, LiveMetrics(agents=[AGENT]))
    with pytest.raises(RedisUnavailableError):
        house.operate(AGENT, Move(MoveKind.OPEN, seconds=60, reason="test"))
    assert house.view(AGENT).state is CircuitState.CLOSED
    with pytest.raises(NotFoundError):
        house.operate("nobody", Move(MoveKind.RESET))


def test_what_an_operator_does_holds_for_all_processes(redis_url: str) -> None:
    turns: list[Turn] = []
    with breakers_of(redis_url, processes=2, rules=RULES, on_turn=turns.append) as houses:
        first, second = in_touch(houses)
        turn = first.operate(AGENT, Move(MoveKind.OPEN, seconds=600, reason="maintenance"))
        assert (turn.after, turn.cause, turn.seconds, turn.reason) == (
            CircuitState.OPEN,
            TurnCause.OPERATOR,
            600,
            "maintenance",
        )
        wait_until(lambda: is_refused(second), what="the news")
        view = second.view(AGENT)
        assert (view.held, view.reason, round(view.held_seconds)) == (True, "maintenance", 600)
        second.operate(AGENT, Move(MoveKind.RESET))
        wait_until(lambda: not is_refused(first), what="the news")
    assert turns == []


def test_how_long_the_recovery_took_is_told_once(redis_url: str) -> None:
    with breakers_of(redis_url, processes=2, rules=SOON) as houses:
        first, second = in_touch(houses)
        fail(first, 5)
        wait_until(lambda: states(houses) == [CircuitState.HALF_OPEN] * 2, what="its time to be over")
        succeed(second, 2)
        wait_until(lambda: states(houses) == [CircuitState.CLOSED] * 2, what="the news")
        assert [sample(house, "recovery_seconds_count") for house in houses] == [0, 1]
        assert sample(houses[1], "recovery_seconds_sum") >= 0.3
        assert sample(first, "transitions_total", state="open", cause="failures") == 1
        assert sample(second, "transitions_total", state="half_open", cause="time_up") == 1
        assert sample(second, "transitions_total", state="closed", cause="recovered") == 1


def sample(house: Breakers, name: str, **labels: str) -> float:
    value = house._metrics.registry.get_sample_value(f"marketplace_circuit_breaker_{name}", {"agent": AGENT, **labels})
    assert value is not None
    return value


@pytest.mark.parametrize(
    ("error", "given_seconds", "counts"),
    [
        (RateLimitedError("429", retry_after_seconds=300), 10.0, True),
        (DeadlineExceededError("silent"), 0.99, True),
        (BadAnswerError("no JSON"), 10.0, True),
        (DeadlineExceededError("no time was left"), 0.2, False),
        (RemoteAuthError("401"), 10.0, False),
        (RedisUnavailableError("away"), 10.0, False),
        (KeyboardInterrupt(), 10.0, False),
        (ValueError("a defect of ours"), 10.0, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_only_what_speaks_of_the_agents_health_counts(
    error: BaseException, given_seconds: float, *, counts: bool
) -> None:
    house = Breakers({AGENT: RULES}, LiveMetrics(agents=[AGENT]))
    for _ in range(5):
        with pytest.raises(type(error)), house.call(AGENT, given_seconds):
            raise error
    assert is_refused(house) is counts
    if isinstance(error, RateLimitedError):
        assert house.view(AGENT).seconds_until_retry == pytest.approx(300, abs=20)


def test_a_probe_that_tells_nothing_of_the_agent_lets_another_one_through() -> None:
    house = Breakers({AGENT: BreakerRules(1, 0.1, 1, 1)}, LiveMetrics(agents=[AGENT]))
    fail(house)
    wait_until(lambda: house.view(AGENT).state is CircuitState.HALF_OPEN, what="its time to be over")
    with pytest.raises(RemoteAuthError), house.call(AGENT, 10.0):
        raise RemoteAuthError("401")
    assert house.view(AGENT).probes == 0
    assert house.view(AGENT).state is CircuitState.HALF_OPEN
    succeed(house)
    assert house.view(AGENT).state is CircuitState.CLOSED
