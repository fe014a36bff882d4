from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.timeout_rule import TimeoutRule

NIGHT = datetime(2026, 11, 27, 3, tzinfo=UTC)
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("opportunities", "transitions", "at", "seconds"),
    [
        pytest.param(0, 0, NIGHT, 30.0, id="base"),
        pytest.param(100, 0, NIGHT, 35.0, id="a-hundred-opportunities"),
        pytest.param(50, 0, NIGHT, 32.5, id="part-of-a-hundred"),
        pytest.param(0, 3, NIGHT, 45.0, id="transitions"),
        pytest.param(0, 0, NOON, 40.0, id="peak"),
        pytest.param(200, 1, NOON, 55.0, id="everything"),
        pytest.param(1790, 0, NIGHT, 119.5, id="just-below-the-ceiling"),
        pytest.param(2000, 9, NOON, 120.0, id="ceiling"),
    ],
)
def test_the_rule_adds_up(opportunities: int, transitions: int, at: datetime, seconds: float) -> None:
    assert TimeoutRule().timeout(opportunities=opportunities, transitions=transitions, at=at).seconds == seconds


def test_the_breakdown_tells_every_addend_and_the_sum_before_the_clamp() -> None:
    told = TimeoutRule().timeout(opportunities=2000, transitions=2, at=NOON)
    assert (told.base, told.opportunities, told.transitions, told.peak) == (30.0, 100.0, 10.0, 10.0)
    assert (told.total, told.seconds) == (150.0, 120.0)


def test_a_small_base_is_brought_up_to_the_floor() -> None:
    assert TimeoutRule(base_seconds=1.0).timeout(opportunities=0, transitions=0, at=NIGHT).seconds == 10.0


@pytest.mark.parametrize(("opportunities", "transitions"), [(-1, 0), (0, -1)])
def test_a_negative_count_is_an_error(opportunities: int, transitions: int) -> None:
    with pytest.raises(ValueError, match="counts"):
        TimeoutRule().timeout(opportunities=opportunities, transitions=transitions, at=NIGHT)


@pytest.mark.parametrize(
    ("first", "last", "zone", "hour", "peak"),
    [
        pytest.param(9, 18, "UTC", 8, False, id="before"),
        pytest.param(9, 18, "UTC", 9, True, id="first-hour"),
        pytest.param(9, 18, "UTC", 17, True, id="last-hour"),
        pytest.param(9, 18, "UTC", 18, False, id="after"),
        pytest.param(22, 6, "UTC", 23, True, id="before-midnight"),
        pytest.param(22, 6, "UTC", 5, True, id="after-midnight"),
        pytest.param(22, 6, "UTC", 12, False, id="the-day-between"),
        pytest.param(8, 8, "UTC", 8, False, id="no-peak"),
        pytest.param(0, 24, "UTC", 23, True, id="all-day"),
        pytest.param(9, 18, "America/Sao_Paulo", 11, False, id="eight-in-sao-paulo"),
        pytest.param(9, 18, "America/Sao_Paulo", 12, True, id="nine-in-sao-paulo"),
    ],
)
def test_peak_hours_are_those_of_the_time_zone(first: int, last: int, zone: str, hour: int, *, peak: bool) -> None:
    rule = TimeoutRule(peak_from_hour=first, peak_to_hour=last, time_zone=zone)
    assert rule.is_peak(datetime(2026, 11, 27, hour, 30, tzinfo=UTC)) == peak


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.datetimes(timezones=st.just(UTC)))
def test_it_stays_within_the_bounds_and_never_falls_with_the_size(
    few: int, more: int, transitions: int, at: datetime
) -> None:
    rule = TimeoutRule()
    small = rule.timeout(opportunities=few, transitions=transitions, at=at)
    large = rule.timeout(opportunities=few + more, transitions=transitions, at=at)
    assert 10.0 <= small.seconds <= large.seconds <= 120.0
    assert small.seconds == min(max(small.total, 10.0), 120.0)
