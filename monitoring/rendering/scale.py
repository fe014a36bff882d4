"""Round numbers and times for axes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
#: Seconds between two ticks of a time axis.
_TIME_STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(count * _MINUTE for count in (1, 2, 5, 10, 15, 30)),
    *(count * _HOUR for count in (1, 2, 3, 6, 12)),
    *(count * _DAY for count in (1, 2, 5, 7, 14, 30, 90)),
)


@dataclass(frozen=True)
class Scale:
    """A linear scale from `low` to `high`, `low` < `high`."""

    low: float
    high: float

    def part(self, value: float) -> float:
        """Return where a value lies: 0 at `low`, 1 at `high`, beyond both outside.

        >>> Scale(10.0, 30.0).part(15.0)
        0.25
        """
        return (value - self.low) / (self.high - self.low)

    def ticks(self, count: int, *, binary: bool = False) -> list[float]:
        """Return about `count` round values within the scale.

        >>> Scale(0.0, 1.0).ticks(5)
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
        """
        step = nice_step((self.high - self.low) / max(count, 1), binary=binary)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        # Rounded, for 3 * 0.2 is 0.6000000000000001.
        return [round(number * step, 12) for number in range(first, last + 1)]


def nice_step(least: float, *, binary: bool = False) -> float:
    """Return the smallest of 1, 2, 2.5, 5 times a power of ten (or a power of two) that is at least `least`.

    >>> nice_step(0.17), nice_step(300, binary=True)
    (0.2, 512.0)
    """
    if least <= 0 or not math.isfinite(least):
        return 1.0
    if binary and least >= 1:
        return float(2 ** math.ceil(math.log2(least)))
    power = 10.0 ** math.floor(math.log10(least))
    return next((round(n * power, 12) for n in (1, 2, 2.5, 5, 10) if n * power >= least * (1 - 1e-9)), power * 10)


def value_scale(
    low: float | None, high: float | None, *, fixed_low: float | None = None, fixed_high: float | None = None
) -> Scale:
    """Return a scale that holds the values from `low` to `high` (None when there are none), widened to round numbers.

    Starts at 0 unless values are negative or the bottom is fixed: a line that fills its panel says nothing about size.
    """
    bottom = fixed_low if fixed_low is not None else min(low if low is not None else 0.0, 0.0)
    top = fixed_high if fixed_high is not None else max(high if high is not None else 1.0, bottom)
    if top <= bottom:
        top = bottom + (abs(bottom) or 1.0)
    step = nice_step((top - bottom) / 4)
    if fixed_high is None:
        top = math.ceil(top / step - 1e-9) * step
    if fixed_low is None:
        bottom = math.floor(bottom / step + 1e-9) * step
    return Scale(bottom, max(top, bottom + step * 1e-6))


def time_ticks(start: float, end: float, count: int) -> list[tuple[float, str]]:
    """Return about `count` round times between two Unix times, with their labels, in UTC.

    >>> time_ticks(0, 7200, 4)
    [(0, '00:00'), (1800, '00:30'), (3600, '01:00'), (5400, '01:30'), (7200, '02:00')]
    """
    least = (end - start) / max(count, 1)
    step = next((step for step in _TIME_STEPS if step >= least * 0.999), _TIME_STEPS[-1])
    first = math.ceil(start / step)
    ticks = [number * step for number in range(first, math.floor(end / step) + 1)]
    pattern = "%m-%d" if step >= _DAY else "%m-%d %H:%M" if end - start > _DAY * 1.01 else "%H:%M"
    pattern = "%H:%M:%S" if step < _MINUTE else pattern
    return [(tick, datetime.fromtimestamp(tick, UTC).strftime(pattern)) for tick in ticks]


def time_text(at: float) -> str:
    """Return a Unix time in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
