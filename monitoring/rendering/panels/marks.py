"""The marks of one series: a line, the area under it, bars or points."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from monitoring.rendering.scale import Scale
from monitoring.rendering.series import runs
from monitoring.rendering.shown_series import ShownSeries
from monitoring.rendering.svg import element, group

#: Share of its step that a bar is wide.
_BAR_WIDTH = 0.7

#: Time, top and base of a mark.
Mark = tuple[float, float, float]


@dataclass(frozen=True)
class Layer:
    """A series as it is drawn: each point with the height that it stands on, 0 unless it is stacked; NaN in gaps."""

    shown: ShownSeries
    points: tuple[Mark, ...]
    step_seconds: float

    def with_points(self, points: Iterable[Mark]) -> Layer:
        """Return the same layer with other points."""
        return replace(self, points=tuple(points))


def draw_layer(layer: Layer, time: Scale, values: Scale, width: float, height: float) -> Markup:
    """Return the marks of a layer in pixels of a chart of this size."""
    placed = _Placed(layer, time, values, width, height)
    style = layer.shown.display.custom("drawStyle", "line")
    if style == "bars":
        return placed.bars()
    return placed.dots() if style == "points" else placed.lines()


class _Placed:
    """One layer on a chart."""

    def __init__(self, layer: Layer, time: Scale, values: Scale, width: float, height: float) -> None:
        self._shown = layer.shown
        self._display = layer.shown.display
        self._time, self._values = time, values
        self._width, self._height = width, height
        self._base = {at: base for at, _, base in layer.points}
        self._points = [(at, top) for at, top, _ in layer.points]
        self._step = layer.step_seconds

    def lines(self) -> Markup:
        """Return a line with gaps where there is no data, dots for lone points, and the area below."""
        stretches = list(runs(self._points))
        outline = "".join(self._path(run) for run in stretches)
        opacity = self._display.measure("fillOpacity", 0) / 100
        parts = []
        if opacity > 0:
            area = "".join(self._area(run) for run in stretches if len(run) > 1)
            parts.append(
                element("path", d=area, fill=self._shown.colour, fill_opacity=min(opacity, 1.0), class_="area")
            )
        dash = (
            self._display.custom("lineStyle.dash", [8, 6]) if self._display.custom("lineStyle.fill") == "dash" else []
        )
        line_width = self._display.measure("lineWidth", 1.5)
        if line_width > 0:
            parts.append(
                element(
                    "path",
                    d=outline,
                    stroke=self._shown.colour,
                    stroke_width=line_width,
                    stroke_dasharray=" ".join(map(str, dash)) or None,
                    class_="line",
                )
            )
        return group(*parts)

    def dots(self) -> Markup:
        """Return a dot for each point."""
        dots = "".join(f"M{self._x(at)},{self._y(top)}h0" for at, top in self._points if math.isfinite(top))
        size = self._display.measure("pointSize", 5)
        return element("path", d=dots, stroke=self._shown.colour, stroke_width=size, class_="line")

    def bars(self) -> Markup:
        """Return a bar for each point, in the middle of its step."""
        wide = self._step / (self._time.high - self._time.low) * self._width * _BAR_WIDTH
        bars = "".join(
            f"M{_short(self._at(at) - wide / 2)},{self._y(self._base[at])}V{self._y(top)}h{_short(wide)}"
            f"V{self._y(self._base[at])}z"
            for at, top in self._points
            if math.isfinite(top)
        )
        opacity = max(self._display.measure("fillOpacity", 80) / 100, 0.3)
        return element("path", d=bars, fill=self._shown.colour, fill_opacity=opacity, class_="area")

    def _path(self, run: Sequence[tuple[float, float]]) -> str:
        if len(run) == 1:
            # A round cap makes a dot of it.
            return f"M{self._x(run[0][0])},{self._y(run[0][1])}h0.1"
        return "M" + self._joined([(self._x(at), self._y(top)) for at, top in run])

    def _area(self, run: Sequence[tuple[float, float]]) -> str:
        above = self._joined([(self._x(at), self._y(top)) for at, top in run])
        # Without a stack the base is one straight line: its ends will do.
        ends = run if any(self._base[at] for at, _ in run) else (run[0], run[-1])
        below = self._joined([(self._x(at), self._y(self._base[at])) for at, _ in reversed(ends)], backwards=True)
        return f"M{above}L{below}z"

    def _joined(self, places: Sequence[tuple[str, str]], *, backwards: bool = False) -> str:
        kind = self._display.custom("lineInterpolation", "linear")
        if kind not in {"stepAfter", "stepBefore"}:
            return "L".join(f"{x},{y}" for x, y in places)
        # A step goes first along and then up; on the way back the order is turned round.
        along_first = (kind == "stepAfter") != backwards
        text = f"{places[0][0]},{places[0][1]}"
        return text + "".join(f"H{x}V{y}" if along_first else f"V{y}H{x}" for x, y in places[1:])

    def _at(self, at: float) -> float:
        return self._time.part(at) * self._width

    def _x(self, at: float) -> str:
        return _short(self._at(at))

    def _y(self, value: float) -> str:
        # Far beyond the chart is as good as infinitely far, and fits every program's numbers.
        part = min(max(self._values.part(value), -2.0), 3.0)
        return _short(self._height * (1 - part))


def _short(value: float) -> str:
    text = f"{value:.1f}"
    return text.removesuffix(".0")
