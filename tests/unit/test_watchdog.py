from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest
import structlog

from tests.servers import wait_until
from worker.watchdog import Watchdog


class Process:
    """What a watchdog looks at, and what it has done about it."""

    def __init__(self, *found: Sequence[str] | Exception) -> None:
        self._found = list(found)
        self.looks = 0
        self.gave_up: list[Sequence[str]] = []
        self.ended = threading.Event()
        self.watchdog = Watchdog(self.examine, give_up=self.give_up, look_seconds=0.01)

    def examine(self) -> Sequence[str]:
        self.looks += 1
        found = self._found.pop(0) if self._found else []
        if isinstance(found, Exception):
            raise found
        return found

    def give_up(self, problems: Sequence[str]) -> None:
        self.gave_up.append(problems)
        self.ended.set()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


def test_a_process_that_is_well_is_left_alone() -> None:
    process = Process()
    process.watchdog.start()
    wait_until(lambda: process.looks >= 5, what="five looks")
    assert process.watchdog.problems() == []
    process.watchdog.stand_down()
    assert not process.gave_up


def test_a_problem_that_lasts_ends_the_process_once() -> None:
    process = Process(["late"], ["a thread is dead"], ["a thread is dead"])
    process.watchdog.start()
    assert process.ended.wait(20)
    assert (process.looks, process.gave_up) == (3, [["a thread is dead"]])


def test_a_problem_that_passes_is_forgiven() -> None:
    process = Process(["late"], ["late"], [], ["late"], ["late"])
    process.watchdog.start()
    wait_until(lambda: process.looks >= 10, what="ten looks")
    process.watchdog.stand_down()
    assert not process.gave_up


def test_an_examination_that_fails_is_a_problem() -> None:
    process = Process(*[ZeroDivisionError()] * 3)
    process.watchdog.start()
    assert process.ended.wait(20)
    assert process.gave_up == [["the examination failed"]]


def test_a_process_that_ends_has_no_problems_whatever_its_threads_do() -> None:
    process = Process(*[["a thread is dead"]] * 99)
    process.watchdog.start()
    process.watchdog.stand_down()
    assert process.watchdog.problems() == []
    process.watchdog._thread.join(20)
    assert not process.gave_up


def test_a_watchdog_that_does_not_run_is_a_problem() -> None:
    assert Process().watchdog.problems() == ["the watchdog is dead"]
