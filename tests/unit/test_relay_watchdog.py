from __future__ import annotations

from collections.abc import Sequence

import pytest

from alerting.issues.decisions import Decided
from alerting.signals import Signal
from alerting.watchdog import DeadMansSwitch
from app.domain.errors import DatabaseUnavailableError
from app.live_metrics import LiveMetrics
from app.metrics import RELAY_METRICS


class World:
    """A switch with a clock of its own, and what it told."""

    def __init__(self, *, is_blind: bool = False) -> None:
        self.now = 1000.0
        self.told: list[bool] = []
        self.is_locked = False
        self.metrics = LiveMetrics(metrics=RELAY_METRICS)
        self.switch = DeadMansSwitch(
            self._take,
            self.metrics,
            limit_seconds=180,
            environment="test",
            is_blind=is_blind,
            monotonic=lambda: self.now,
        )

    def _take(self, signals: Sequence[Signal]) -> Sequence[Decided]:
        if self.is_locked:
            raise DatabaseUnavailableError("locked")
        self.told += [signal.firing for signal in signals]
        return []

    def look_for(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1
            self.switch.look()


def test_silence_is_told_once_and_its_end_too() -> None:
    world = World()
    world.look_for(179)
    assert world.told == []
    world.look_for(300)
    assert world.told == [True]
    world.switch.see()
    world.look_for(1)
    assert world.told == [True, False]


def test_watchdog_that_comes_keeps_it_quiet() -> None:
    world = World()
    for _ in range(20):
        world.look_for(100)
        world.switch.see()
    assert world.told == []
    world.look_for(60)
    assert world.metrics.registry.get_sample_value("marketplace_relay_watchdog_age_seconds") == 60


def test_time_in_which_the_process_did_not_run_is_no_silence() -> None:
    world = World()
    world.look_for(100)
    world.now += 100_000
    world.look_for(60)
    assert world.told == []
    world.look_for(20)
    assert world.told == [True]


def test_after_a_restart_it_waits_for_watchdog_and_tells_then() -> None:
    world = World(is_blind=True)
    world.look_for(200)
    assert world.told == []
    world.switch.see()
    world.look_for(1)
    assert world.told == [False]


def test_what_could_not_be_told_is_told_at_the_next_look() -> None:
    world = World()
    world.look_for(179)
    world.is_locked = True
    with pytest.raises(DatabaseUnavailableError):
        world.look_for(1)
    world.is_locked = False
    world.look_for(1)
    assert world.told == [True]
