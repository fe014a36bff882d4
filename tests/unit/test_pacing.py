from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.slack.pacing import Pace, backoff_seconds


def _departures(pace: Pace, count: int, *, start: float) -> list[float]:
    """Return when each of so many messages may leave that wait from the start."""
    now, left = start, []
    for _ in range(count):
        now += pace.wait_seconds(now)
        pace.take(now)
        left.append(round(now - start, 6))
    return left


def test_a_short_burst_leaves_at_once_and_then_one_a_second() -> None:
    assert _departures(Pace(1.0), 6, start=1e9) == [0, 0, 0, 1, 2, 3]


def test_a_pause_earns_no_more_than_a_burst() -> None:
    pace = Pace(1.0)
    _departures(pace, 3, start=0.0)
    assert _departures(pace, 5, start=1000.0) == [0, 0, 0, 1, 2]


def test_after_a_refusal_there_is_no_burst() -> None:
    pace = Pace(2.0)
    pace.empty()
    assert _departures(pace, 3, start=0.0) == [0.5, 1.0, 1.5]


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    pace = Pace(1.0)
    _departures(pace, 3, start=1000.0)
    assert pace.wait_seconds(10.0) <= 1.0
    assert pace.wait_seconds(11.0) == 0.0


@given(st.lists(st.floats(0, 5), min_size=1, max_size=60))
def test_no_minute_has_more_messages_than_the_rate_and_a_burst(gaps: list[float]) -> None:
    pace, now, left = Pace(1.0), 0.0, []
    for gap in gaps:
        now += gap
        now += pace.wait_seconds(now)
        pace.take(now)
        left.append(now)
    for first in left:
        assert len([at for at in left if first <= at < first + 10]) <= 10 + 3


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1), (2, 2), (3, 5), (4, 10), (5, 30), (6, 60), (50, 60)])
def test_pauses_grow_to_a_minute(failures: int, seconds: float) -> None:
    pauses = [backoff_seconds(failures, Random(seed)) for seed in range(50)]
    assert min(pauses) >= seconds * 0.8
    assert max(pauses) <= seconds * 1.2
    assert len(set(pauses)) > 1


def test_what_slack_asks_for_is_kept_up_to_ten_minutes() -> None:
    assert backoff_seconds(1, Random(1), asked=60) == 60
    assert backoff_seconds(1, Random(1), asked=1e9) == 600
    assert backoff_seconds(6, Random(1), asked=1) >= 48
