"""Series of numbers over time: reductions to one number, gaps, and thinning to what a screen can show."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

#: Time in Unix seconds, and a value that may be NaN or infinite.
Point = tuple[float, float]
#: A time, a value, and whatever else belongs to it.
Mark = TypeVar("Mark", bound=tuple[float, ...])


@dataclass(frozen=True)
class Series:
    """One series of an answer.

    Args:
        ref_id: Query that it answers.
        labels: Labels, with `__name__` where Prometheus gives it.
        points: In order of time; what is not there is a gap.
        step_seconds: Distance of points that belong together; 0 for an instant.
        name: What the legend calls it.
    """

    ref_id: str
    labels: Mapping[str, str]
    points: tuple[Point, ...]
    step_seconds: float = 0.0
    name: str = field(default="", compare=False)

    def named(self, name: str) -> Series:
        """Return the same series under a name."""
        return replace(self, name=name)

    @property
    def numbers(self) -> list[float]:
        """Values that are finite, in order of time."""
        return [value for _, value in self.points if math.isfinite(value)]


def broken(points: Iterable[Point], *, step_seconds: float, span_seconds: float = 0.0) -> list[Point]:
    """Return the points with a NaN in every gap, where no line may be drawn.

    A gap is where points are missing, for Prometheus leaves out what is stale, and where a value is NaN or infinite.

    Args:
        points: In order of time.
        step_seconds: Distance of neighbours.
        span_seconds: Gaps up to this long are no gaps (`spanNulls`); infinity for any.

    >>> broken([(0.0, 1.0), (15.0, 2.0), (60.0, 3.0)], step_seconds=15.0)
    [(0.0, 1.0), (15.0, 2.0), (37.5, nan), (60.0, 3.0)]
    """
    reach = max(step_seconds * 1.5, span_seconds)
    found: list[Point] = []
    before: float | None = None
    for at, value in points:
        if not math.isfinite(value):
            if not span_seconds:
                found.append((at, math.nan))
            continue
        if before is not None and at - before > reach:
            found.append(((before + at) / 2, math.nan))
        found.append((at, value))
        before = at
    return found


def runs(marks: Iterable[Mark]) -> Iterator[list[Mark]]:
    """Yield the stretches between gaps, as `broken` marks them."""
    run: list[Mark] = []
    for mark in marks:
        if math.isfinite(mark[1]):
            run.append(mark)
        elif run:
            yield run
            run = []
    if run:
        yield run


def thinned(marks: Sequence[Mark], *, start: float, end: float, slots: int) -> list[Mark]:
    """Return at most two marks for each of `slots` equal parts of the time, the lowest and the highest, and the gaps.

    Peaks survive, which an average would hide. A mark is a time, a value, and whatever else belongs to it.

    >>> thinned([(0.0, 1.0), (1.0, 9.0), (2.0, 2.0), (3.0, 3.0)], start=0.0, end=4.0, slots=1)
    [(0.0, 1.0), (1.0, 9.0)]
    """
    if len(marks) <= slots:
        return list(marks)
    width = max((end - start) / slots, 1e-9)
    kept: list[Mark] = []
    group: list[Mark] = []
    slot = -1
    for mark in marks:
        here, is_gap = int((mark[0] - start) / width), not math.isfinite(mark[1])
        if here != slot or is_gap:
            kept += _extremes(group)
            group, slot = [], here
        if not is_gap:
            group.append(mark)
        elif not kept or math.isfinite(kept[-1][1]):
            kept.append(mark)
    return kept + _extremes(group)


def _extremes(group: Sequence[Mark]) -> list[Mark]:
    if not group:
        return []
    return sorted({min(group, key=_value), max(group, key=_value)}, key=lambda mark: mark[0])


def _value(mark: tuple[float, ...]) -> float:
    return mark[1]


def _last_not_null(series: Series) -> float:
    return next((value for _, value in reversed(series.points) if not math.isnan(value)), math.nan)


def _first_not_null(series: Series) -> float:
    return next((value for _, value in series.points if not math.isnan(value)), math.nan)


def _over(function: Callable[[list[float]], float]) -> Callable[[Series], float]:
    """Return a reduction of the finite values, NaN when there are none."""
    return lambda series: function(series.numbers) if series.numbers else math.nan


#: Reductions by the names that Grafana gives them; those with a key that is not here are refused by name.
REDUCTIONS: Mapping[str, Callable[[Series], float]] = {
    "lastNotNull": _last_not_null,
    "last": lambda series: series.points[-1][1] if series.points else math.nan,
    "firstNotNull": _first_not_null,
    "first": lambda series: series.points[0][1] if series.points else math.nan,
    "min": _over(min),
    "max": _over(max),
    "mean": _over(statistics.fmean),
    "median": _over(statistics.median),
    "sum": _over(math.fsum),
    "count": lambda series: float(len(series.points)),
    "range": _over(lambda numbers: max(numbers) - min(numbers)),
    "diff": _over(lambda numbers: numbers[-1] - numbers[0]),
    "stdDev": _over(statistics.pstdev),
}

#: What a legend or a column calls them.
REDUCTION_TITLES: Mapping[str, str] = {
    "lastNotNull": "Last",
    "last": "Last",
    "firstNotNull": "First",
    "first": "First",
    "mean": "Mean",
    "sum": "Total",
    "stdDev": "StdDev",
}


def reduction_title(name: str) -> str:
    """Return what people call a reduction.

    >>> reduction_title("lastNotNull"), reduction_title("max")
    ('Last', 'Max')
    """
    return REDUCTION_TITLES.get(name, name.capitalize())
