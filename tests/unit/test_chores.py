from __future__ import annotations

import threading

from app.live_metrics import LiveMetrics
from app.pulse import Pulse
from worker.chores import Chore, do_chores


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_loop_that_hangs_in_a_chore_is_not_felt_any_more() -> None:
    clock, stop = Clock(), threading.Event()
    pulse = Pulse(60, clock=clock)
    felt: list[bool] = []

    def hang() -> None:
        for seconds in (59, 1):
            clock.now += seconds
            felt.append(pulse.is_felt)
        stop.set()

    do_chores([Chore("hang", 1, hang)], stop, LiveMetrics(), place="sweeper", pulse=pulse)
    assert felt == [True, False]


def test_a_loop_is_felt_again_with_its_next_chore() -> None:
    clock, stop = Clock(), threading.Event()
    pulse = Pulse(60, clock=clock)
    felt: list[bool] = []

    def take_long() -> None:
        clock.now += 100
        felt.append(pulse.is_felt)

    def look() -> None:
        felt.append(pulse.is_felt)
        stop.set()

    chores = [Chore("long", 1, take_long), Chore("next", 1, look)]
    do_chores(chores, stop, LiveMetrics(), place="sweeper", pulse=pulse)
    assert felt == [False, True]


def test_a_chore_that_raises_does_not_end_the_others() -> None:
    stop, metrics = threading.Event(), LiveMetrics()

    def fail() -> None:
        raise ValueError("a defect")

    chores = [Chore("fail", 1, fail), Chore("end", 1, stop.set)]
    do_chores(chores, stop, metrics, place="sweeper", pulse=Pulse(60))
    assert metrics.registry.get_sample_value("marketplace_unexpected_errors_total", {"place": "sweeper"}) == 1
