from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client.core import GaugeMetricFamily

from app.domain.deadline import Deadline
from app.timely_source import TimelySource

SILENT = [GaugeMetricFamily("up", "whether it answers", value=0)]


class Source:
    """A source that answers how often it was read, as soon as it may."""

    def __init__(self) -> None:
        self.now = 100.0
        self.reads = 0
        self.begun = threading.Event()
        self.free = threading.Event()
        self.free.set()
        self.error: Exception | None = None
        self.timely = TimelySource("test", self.read, cache_seconds=1.0, silent=SILENT, clock=lambda: self.now)

    def read(self) -> Sequence[GaugeMetricFamily]:
        self.reads += 1
        self.begun.set()
        assert self.free.wait(30)
        if self.error is not None:
            raise self.error
        return [GaugeMetricFamily("reads", "how often", value=self.reads)]

    def told(self, seconds: float = 30.0) -> list[tuple[str, float]]:
        families = self.timely.levels(self.timely.ask(), Deadline.after(seconds))
        return [(sample.name, sample.value) for family in families for sample in family.samples]


@pytest.fixture
def source() -> Iterator[Source]:
    source = Source()
    yield source
    source.free.set()
    source.timely.close()


def test_what_was_read_is_told_again_for_as_long_as_it_is_fresh(source: Source) -> None:
    assert source.told() == [("reads", 1)]
    source.now += 0.999
    assert source.told() == [("reads", 1)]
    source.now += 0.001
    assert source.told() == [("reads", 2)]


def test_a_storm_of_scrapes_reads_once(source: Source) -> None:
    source.free.clear()
    with ThreadPoolExecutor(8) as scrapes:
        answers = [scrapes.submit(source.told) for _ in range(8)]
        assert source.begun.wait(30)
        source.free.set()
        assert [answer.result(30) for answer in answers] == [[("reads", 1)]] * 8


def test_a_source_that_does_not_answer_in_time_is_silent_and_is_not_asked_twice_at_once(source: Source) -> None:
    source.free.clear()
    assert source.told(0.01) == [("up", 0)]
    source.now += 60
    assert source.told(0.01) == [("up", 0)]
    assert source.reads == 1
    source.free.set()
    assert source.told() == [("reads", 1)]


def test_a_source_that_fails_is_silent_and_is_left_in_peace_for_as_long(source: Source) -> None:
    source.error = ValueError("nonsense")
    assert source.told() == source.told() == [("up", 0)]
    assert source.reads == 1
    source.error = None
    source.now += 1
    assert source.told() == [("reads", 2)]
