"""Lines, areas and bars over time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from monitoring.rendering.axes import (
    AXES_HEIGHT,
    TIME_AXIS_HEIGHT,
    VALUE_AXIS_TOP,
    ValueAxis,
    draw_events,
    draw_time_axis,
    draw_value_axis,
    stretched,
    value_axis,
)
from monitoring.rendering.drawing import Canvas, Chart, Drawing, Event
from monitoring.rendering.field_display import FieldDisplay
from monitoring.rendering.legend_layout import without_legend
from monitoring.rendering.panel_data import PanelData
from monitoring.rendering.panel_options import SeriesOptions, read_options
from monitoring.rendering.panels.marks import Layer, draw_layer
from monitoring.rendering.panels.stacking import stacked
from monitoring.rendering.scale import Scale, value_scale
from monitoring.rendering.series import REDUCTIONS, broken, thinned
from monitoring.rendering.shown_series import ShownSeries, legend, shown_series
from monitoring.rendering.svg import element, group
from monitoring.rendering.units import BINARY_UNITS


def draw_timeseries(data: PanelData, canvas: Canvas, events: Sequence[Event], *, pixels_per_point: float) -> Drawing:
    """Return the chart of a panel; `pixels_per_point` bounds how fine its lines are."""
    shown, notes = shown_series(data)
    if not any(one.series.numbers for one in shown):
        return Drawing(message=shown[0].display.no_value if shown else _no_value(data), notes=notes)
    below = legend(shown, read_options(SeriesOptions, data.panel).legend)
    canvas = without_legend(canvas, below, notes)
    layers = _layers(shown, data, slots=max(int(canvas.width / pixels_per_point), 2))
    height = canvas.height - AXES_HEIGHT
    axes = [_axis(group_, height) for group_ in _by_axis(layers)]
    left = max((axis.axis.room for axis in axes if not axis.axis.is_right), default=8.0)
    right = max((axis.axis.room for axis in axes if axis.axis.is_right), default=8.0)
    width = max(canvas.width - left - right, 50.0)
    body = group(
        draw_time_axis(data.when.start, data.when.end, width, height),
        *(draw_value_axis(axis.axis, height, with_grid=index == 0) for index, axis in enumerate(axes)),
        *(_thresholds(axis, height) for axis in axes),
        stretched(_marks(axes, data, width, height), width, height),
        draw_events(events, data.when.start, data.when.end, height),
    )
    chart = Chart(body, _label(data, shown), height, VALUE_AXIS_TOP, left, right, TIME_AXIS_HEIGHT)
    return Drawing(chart=chart, legend=below, notes=notes)


@dataclass(frozen=True)
class _Axis:
    axis: ValueAxis
    layers: tuple[Layer, ...]
    display: FieldDisplay


def _layers(shown: Iterable[ShownSeries], data: PanelData, *, slots: int) -> list[Layer]:
    """Return what is drawn of each series, in order: broken at gaps, stacked, and thinned to the slots."""
    start, end = data.when.start, data.when.end
    whole = stacked([_layer(one, one.series.step_seconds or data.step) for one in shown])
    return [layer.with_points(thinned(layer.points, start=start, end=end, slots=slots)) for layer in whole]


def _layer(one: ShownSeries, step: float) -> Layer:
    sign = -1.0 if one.display.custom("transform") == "negative-Y" else 1.0
    points = broken(one.series.points, step_seconds=step, span_seconds=_span_seconds(one.display))
    return Layer(one, tuple((at, value * sign, 0.0) for at, value in points), step)


def _span_seconds(display: FieldDisplay) -> float:
    """Return how long a gap is bridged: `spanNulls` is yes, no, or milliseconds."""
    spanned = display.custom("spanNulls", default=False)
    if isinstance(spanned, bool):
        return math.inf if spanned else 0.0
    return display.measure("spanNulls", 0) / 1000


def _by_axis(layers: Iterable[Layer]) -> list[list[Layer]]:
    """Return the layers by axis, left first: those of another unit than the first one go to the right."""
    left: list[Layer] = []
    right: list[Layer] = []
    for layer in layers:
        display = layer.shown.display
        placement = display.custom("axisPlacement", "auto")
        other_unit = bool(left) and display.options.unit != left[0].shown.display.options.unit
        is_right = placement == "right" or (placement == "auto" and other_unit)
        (right if is_right else left).append(layer)
    return [group_ for group_ in (left, right) if group_]


def _axis(layers: Sequence[Layer], height: float) -> _Axis:
    display = layers[0].shown.display
    options = display.options
    ends = [end for layer in layers for _, top, base in layer.points for end in (top, base) if math.isfinite(end)]
    ends += [value for value in (display.custom("axisSoftMin"), display.custom("axisSoftMax")) if value is not None]
    ends += [value for value, _ in display.thresholds() if math.isfinite(value) and _lines(display)]
    scale = value_scale(min(ends, default=None), max(ends, default=None), fixed_low=options.min, fixed_high=options.max)
    is_right = display.custom("axisPlacement", "auto") == "right"
    if display.custom("stacking.mode") == "percent":
        scale, display = Scale(0.0, 1.0), FieldDisplay(options.model_copy(update={"unit": "percentunit"}))
    axis = value_axis(scale, height, display.number, is_right=is_right, binary=options.unit in BINARY_UNITS)
    return _Axis(axis, tuple(layers), display)


def _marks(axes: Sequence[_Axis], data: PanelData, width: float, height: float) -> Markup:
    time = Scale(data.when.start, data.when.end)
    return group(
        *(draw_layer(layer, time, axis.axis.scale, width, height) for axis in axes for layer in reversed(axis.layers))
    )


def _lines(display: FieldDisplay) -> str:
    """Return how thresholds are drawn: `off`, or a mode of Grafana's with `line`, `dashed` or `area` in it."""
    mode = str(display.custom("thresholdsStyle.mode", "off"))
    return "" if mode == "off" else mode


def _thresholds(axis: _Axis, height: float) -> Markup:
    mode, parts = _lines(axis.display), []
    steps = axis.display.thresholds() if mode else []
    for index, (value, colour) in enumerate(steps):
        low = max(axis.axis.scale.part(value), 0.0)
        high = axis.axis.scale.part(steps[index + 1][0]) if index + 1 < len(steps) else 1.0
        if "area" in mode and high > low and low < 1:
            area = {"y": height * (1 - min(high, 1.0)), "height": height * (min(high, 1.0) - low)}
            parts.append(element("rect", x="0", width="100%", fill=colour, class_="zone", **area))
        if mode != "area" and math.isfinite(value) and 0 <= low <= 1:
            y = height * (1 - low)
            dash = "6 4" if "dash" in mode else None
            title = element("title", f"threshold {axis.display.number(value)}")
            parts.append(
                element(
                    "line",
                    title,
                    x1="0",
                    x2="100%",
                    y1=y,
                    y2=y,
                    stroke=colour,
                    class_="threshold",
                    stroke_dasharray=dash,
                )
            )
    return group(*parts)


def _label(data: PanelData, shown: Sequence[ShownSeries]) -> str:
    """Return the chart in words: how many series, and where the first ones stand."""
    last = REDUCTIONS["lastNotNull"]
    figures = [f"{one.name} {one.display.text(last(one.series))}" for one in shown[:6]]
    more = f" and {len(shown) - 6} more" if len(shown) > 6 else ""  # noqa: PLR2004 -- as many as one listens to
    return f"{data.title}: last values {', '.join(figures)}{more}"


def _no_value(data: PanelData) -> str:
    return FieldDisplay(data.panel.field_config.defaults).no_value
