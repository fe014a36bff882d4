"""Buckets of a histogram over time: the darker a cell, the more fell into it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from monitoring.rendering.axes import (
    AXES_HEIGHT,
    TIME_AXIS_HEIGHT,
    VALUE_AXIS_TOP,
    draw_events,
    draw_time_axis,
    stretched,
)
from monitoring.rendering.drawing import Canvas, Chart, Drawing, Event
from monitoring.rendering.field_display import FieldDisplay
from monitoring.rendering.panel_data import PanelData
from monitoring.rendering.series import Series
from monitoring.rendering.svg import cut, element, group, text_width
from monitoring.rendering.units import format_value

#: Shades of a cell; a finer difference cannot be seen.
_SHADES = 8
_LABEL_HEIGHT, _NOTE_HEIGHT = 13.0, 18.0
#: Pixels that a cell is wide at least.
_CELL = 4.0

#: Name of a row, and its values by time.
_Row = tuple[str, Mapping[float, float]]


def draw_heatmap(data: PanelData, canvas: Canvas, events: Sequence[Event], *, pixels_per_point: float) -> Drawing:
    """Return rows of cells, the lowest bucket at the bottom."""
    rows = _rows(data)
    highest = max((value for _, row in rows for value in row.values()), default=0.0)
    if not rows:
        return Drawing(message=FieldDisplay(data.panel.field_config.defaults).no_value)
    height = canvas.height - AXES_HEIGHT - _NOTE_HEIGHT
    left = min(max(text_width(name, 11) for name, _ in rows) + 12, 110.0)
    width = canvas.width - left - 8
    cells, span = _cells(rows, data, _Plot(width, height, highest, width / max(pixels_per_point * 2, _CELL)))
    body = group(
        draw_time_axis(data.when.start, data.when.end, width, height),
        stretched(cells, width, height),
        _labels(rows, height, left),
        draw_events(events, data.when.start, data.when.end, height),
    )
    busiest = max(rows, key=lambda row: sum(row[1].values()))[0]
    most = format_value(highest, data.panel.field_config.defaults.unit or "short")
    label = f"{data.title}: {len(rows)} buckets, most in {busiest}, at most {most} in a cell"
    note = f"a full cell stands for {most} in {format_value(span, 's')}"
    return Drawing(chart=Chart(body, label, height, VALUE_AXIS_TOP, left, 8, TIME_AXIS_HEIGHT), notes=(note,))


def _rows(data: PanelData) -> list[_Row]:
    """Return the rows from the bottom up; of a cumulative histogram each bucket without the ones below it."""
    buckets = [one for answer in data.answers if answer.target.format == "heatmap" for one in answer.series]
    if not buckets or any("le" not in one.labels for one in buckets):
        return [(one.name, _finite(one)) for one in data.series if one.numbers]
    sums: dict[float, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for one in buckets:
        for at, value in _finite(one).items():
            sums[_edge(one.labels["le"])][at] += value
    rows, below = list[_Row](), dict[float, float]()
    for edge in sorted(sums):
        # Rates of neighbouring buckets can differ by rounding: less than nothing is nothing.
        rows.append((_edge_text(edge, data), {at: max(v - below.get(at, 0.0), 0.0) for at, v in sums[edge].items()}))
        below = sums[edge]
    return rows


def _finite(series: Series) -> dict[float, float]:
    return {at: value for at, value in series.points if math.isfinite(value)}


def _edge(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.inf


def _edge_text(edge: float, data: PanelData) -> str:
    axis = data.panel.options.get("yAxis")
    unit = str(axis.get("unit") or "") if isinstance(axis, dict) else ""
    return "+Inf" if math.isinf(edge) else format_value(edge, unit)


@dataclass(frozen=True)
class _Plot:
    """Size in pixels, the value of a full cell, and how many columns there may be."""

    width: float
    height: float
    highest: float
    most_columns: float


def _cells(rows: Sequence[_Row], data: PanelData, plot: _Plot) -> tuple[Markup, float]:
    """Return the cells, one path for each shade, and the seconds that one is wide; its value is the highest within."""
    columns = max(1, min(int(plot.most_columns), math.ceil(data.when.seconds / data.step)))
    cell_width, cell_height = plot.width / columns, plot.height / len(rows)
    paths: dict[int, list[str]] = defaultdict(list)
    for index, (_, row) in enumerate(rows):
        top = plot.height - (index + 1) * cell_height
        for shade, first, count in _stretches(_shades(row, data, columns, plot.highest)):
            wide = f"{count * cell_width:.1f}"
            paths[shade].append(f"M{first * cell_width:.1f},{top:.1f}h{wide}v{cell_height:.1f}h-{wide}z")
    drawn = (
        element("path", d="".join(found), fill="var(--blue)", fill_opacity=shade / _SHADES, class_="cells")
        for shade, found in sorted(paths.items())
    )
    return group(*drawn), data.when.seconds / columns


def _shades(row: Mapping[float, float], data: PanelData, columns: int, highest: float) -> list[int]:
    """Return the shade of each column of a row, 0 for nothing."""
    shades = [0] * columns
    for at, value in row.items():
        column = min(int((at - data.when.start) / data.when.seconds * columns), columns - 1)
        if column >= 0 and highest > 0:
            shades[column] = max(shades[column], math.ceil(value / highest * _SHADES))
    return shades


def _stretches(shades: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield shade, first column and number of columns of each stretch of one shade, without what is empty."""
    first = 0
    for shade, stretch in groupby(shades):
        count = len(list(stretch))
        if shade:
            yield shade, first, count
        first += count


def _labels(rows: Sequence[_Row], height: float, left: float) -> Markup:
    """Return the names of the rows, only every second or third where they would touch."""
    cell = height / len(rows)
    every = max(math.ceil(_LABEL_HEIGHT / cell), 1)
    return group(
        *(
            element(
                "text",
                cut(name, left - 8, 11),
                x=-6,
                y=height - (index + 0.5) * cell + 4,
                text_anchor="end",
                class_="tick",
            )
            for index, (name, _) in enumerate(rows)
            if index % every == 0
        )
    )
