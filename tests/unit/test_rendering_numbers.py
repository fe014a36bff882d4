from __future__ import annotations

import math

import pytest

from monitoring.rendering.scale import Scale, nice_step, time_ticks, value_scale
from monitoring.rendering.series import REDUCTIONS, Series, broken, runs, thinned
from monitoring.rendering.units import format_value


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "s", "0 s"),
        (0, "ms", "0 ms"),
        (0.0042, "s", "4.2 ms"),
        (59.94, "s", "59.9 s"),
        (7200, "s", "2 h"),
        (1500, "ms", "1.5 s"),
        (12_345, "short", "12.3 K"),
        (-2_500_000, "short", "-2.5 Mil"),
        (99.95, "percent", "100%"),
        (0.995, "percentunit", "99.5%"),
        (1_048_576, "bytes", "1 MiB"),
        (1_000_000, "decbytes", "1 MB"),
        (2048, "binBps", "2 KiB/s"),
        (3.25, "reqps", "3.25 req/s"),
        (0.5, "ops", "0.5 ops/s"),
        (12, "cps", "12 c/s"),
        (90_061, "dtdurations", "1d 1h"),
        (1_772_366_400_000, "dateTimeAsIso", "2026-03-01 12:00:00"),
        (3, "jobs", "3 jobs"),
        (3, "suffix:plans", "3 plans"),
        (1, "bool_yes_no", "Yes"),
        (math.nan, "s", "NaN"),
        (math.inf, "bytes", "+Inf"),
        (-math.inf, "", "-Inf"),
        (1e300, "dateTimeAsIso", "1e+300"),
    ],
)
def test_a_number_is_written_with_its_unit(value: float, unit: str, text: str) -> None:
    assert format_value(value, unit) == text


def test_decimals_of_the_dashboard_are_kept() -> None:
    assert (format_value(2, "percent", 2), format_value(-0.001, "", 1)) == ("2.00%", "0.0")


@pytest.mark.parametrize("least", [1e-12, 0.003, 0.7, 1, 3, 9.99, 1e9])
def test_a_step_is_round_and_no_smaller_than_asked(least: float) -> None:
    step = nice_step(least)
    assert least * (1 - 1e-9) <= step <= least * 10
    assert float(f"{step:e}".partition("e")[0]) in {1.0, 2.0, 2.5, 5.0}


def test_a_scale_starts_at_zero_and_holds_the_values() -> None:
    scale = value_scale(3, 97)
    assert scale.low == 0
    assert scale.high >= 97
    assert value_scale(-5, 5).low <= -5


@pytest.mark.parametrize(("low", "high"), [(None, None), (0, 0), (7, 7), (-3, -3)])
def test_a_scale_without_any_range_can_still_be_drawn(low: float | None, high: float | None) -> None:
    scale = value_scale(low, high)
    assert scale.high > scale.low
    assert scale.ticks(4)


def test_a_fixed_end_stays_where_it_is() -> None:
    scale = value_scale(3, 1234, fixed_low=1, fixed_high=100)
    assert scale == Scale(1, 100)


@pytest.mark.parametrize("span", [60, 3600, 86_400, 7 * 86_400, 30 * 86_400])
def test_times_on_an_axis_are_round_few_and_within(span: int) -> None:
    start = 1_772_363_123
    ticks = time_ticks(start, start + span, 8)
    assert 3 <= len(ticks) <= 9
    assert all(start <= at <= start + span for at, _ in ticks)
    assert len({label for _, label in ticks}) == len(ticks)


def test_a_missing_sample_is_a_gap_and_a_late_one_is_not() -> None:
    points = [(0.0, 1.0), (15.0, 1.0), (36.0, 1.0), (90.0, 1.0), (105.0, 1.0)]
    assert [len(run) for run in runs(broken(points, step_seconds=15))] == [3, 2]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_a_gap(value: float) -> None:
    points = [(0.0, 1.0), (15.0, value), (30.0, 3.0)]
    assert list(runs(broken(points, step_seconds=15))) == [[(0.0, 1.0)], [(30.0, 3.0)]]


def test_a_gap_is_bridged_when_the_dashboard_says_so() -> None:
    points = [(0.0, 1.0), (15.0, math.nan), (300.0, 3.0)]
    assert list(runs(broken(points, step_seconds=15, span_seconds=math.inf))) == [[(0.0, 1.0), (300.0, 3.0)]]
    assert len(list(runs(broken(points, step_seconds=15, span_seconds=60)))) == 2


def test_thinning_keeps_peaks_and_gaps() -> None:
    points = [(float(at), 1.0) for at in range(1000)]
    points[500] = (500.0, 99.0)
    points[700] = (700.0, math.nan)
    kept = thinned(points, start=0, end=1000, slots=20)
    assert len(kept) <= 43
    assert max(value for _, value in kept if math.isfinite(value)) == 99
    assert len(list(runs(kept))) == 2
    assert kept == sorted(kept, key=lambda point: point[0])


@pytest.mark.parametrize("name", sorted(REDUCTIONS))
@pytest.mark.parametrize("values", [(), (math.nan,), (math.inf, 1.0)], ids=["nothing", "nan", "infinite"])
def test_a_reduction_never_fails(name: str, values: tuple[float, ...]) -> None:
    series = Series("A", {}, tuple((float(at), value) for at, value in enumerate(values)))
    assert isinstance(REDUCTIONS[name](series), float)


def test_the_last_value_that_is_one_is_taken() -> None:
    series = Series("A", {}, ((0.0, 4.0), (1.0, math.nan)))
    assert REDUCTIONS["lastNotNull"](series) == 4
    assert math.isnan(REDUCTIONS["last"](series))
