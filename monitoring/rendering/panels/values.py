"""The numbers of panels that show one a series."""

from __future__ import annotations

import math
from dataclasses import dataclass

from monitoring.rendering.panel_data import PanelData
from monitoring.rendering.panel_options import ReduceOptions
from monitoring.rendering.series import REDUCTIONS
from monitoring.rendering.shown_series import ShownSeries, shown_series

#: Numbers that one panel shows.
_MAX_VALUES = 40


@dataclass(frozen=True)
class ShownValue:
    """One number: whose it is, as text, and its colour; `part` is where it lies between min and max, 0-1."""

    shown: ShownSeries
    value: float
    text: str
    colour: str
    part: float

    @property
    def name(self) -> str:
        """What it is called."""
        return self.shown.name


def shown_values(data: PanelData, options: ReduceOptions) -> tuple[list[ShownValue], tuple[str, ...]]:
    """Return a number for each series, and what the reader must know of those left out."""
    shown, notes = shown_series(data)
    found = [(one, REDUCTIONS[options.calcs[0]](one.series)) for one in shown]
    highest = max((value for _, value in found if math.isfinite(value)), default=1.0)
    most = options.limit if options.values and options.limit else _MAX_VALUES
    if len(found) > most:
        notes = (*notes, f"{most} of {len(found)} values are shown")
    return [_shown(one, value, highest) for one, value in found[:most]], notes


def _shown(one: ShownSeries, value: float, highest: float) -> ShownValue:
    options = one.display.options
    low = options.min if options.min is not None else 0.0
    high = options.max if options.max is not None else max(highest, low)
    part = (value - low) / (high - low) if high > low and not math.isnan(value) else 0.0
    colour = one.display.colour(value) or one.display.threshold_colour(value) or "var(--text)"
    return ShownValue(one, value, one.display.text(value), colour, min(max(part, 0.0), 1.0))
