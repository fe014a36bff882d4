"""Big numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from monitoring.rendering.axes import stretched
from monitoring.rendering.drawing import Canvas, Chart, Drawing
from monitoring.rendering.field_display import FieldDisplay
from monitoring.rendering.panel_data import PanelData
from monitoring.rendering.panel_options import ValueOptions, read_options
from monitoring.rendering.panels.values import ShownValue, shown_values
from monitoring.rendering.scale import Scale, value_scale
from monitoring.rendering.series import broken, runs, thinned
from monitoring.rendering.svg import CHARACTER, cut, element, group, percent

_LARGEST, _SMALLEST = 44.0, 13.0
_NAME_SIZE = 13.0
#: Points of the line behind a number.
_SPARK_POINTS = 60


def draw_stat(data: PanelData, canvas: Canvas) -> Drawing:
    """Return a tile for each series, side by side."""
    options = read_options(ValueOptions, data.panel)
    values, notes = shown_values(data, options.reduce_options)
    if not values:
        return Drawing(message=FieldDisplay(data.panel.field_config.defaults).no_value, notes=notes)
    columns = _columns(len(values), canvas, options.orientation)
    rows = math.ceil(len(values) / columns)
    tile = Canvas(canvas.width / columns, canvas.height / rows)
    body = group(
        *(
            element(
                "svg",
                _tile(value, tile, options, data, alone=len(values) == 1),
                x=percent(index % columns / columns),
                y=index // columns * tile.height,
                width=percent(1 / columns),
                height=tile.height,
            )
            for index, value in enumerate(values)
        )
    )
    label = f"{data.title}: " + ", ".join(f"{value.name} {value.text}" for value in values)
    return Drawing(chart=Chart(body, label, canvas.height), notes=notes)


def _columns(count: int, canvas: Canvas, orientation: str) -> int:
    """Return how many tiles stand side by side: all, below each other, or what makes them widest."""
    if orientation == "vertical":
        return count
    if orientation == "horizontal":
        return 1
    shape = canvas.width / max(canvas.height, 1)
    return max(1, min(count, round(math.sqrt(count * shape / 2.5)) or 1))


def _tile(value: ShownValue, tile: Canvas, options: ValueOptions, data: PanelData, *, alone: bool) -> Markup:
    name, text = _texts(value, options.text_mode, alone=alone)
    filled = options.color_mode.startswith("background") and value.colour != "none"
    colour = "var(--panel)" if filled else "var(--text)" if options.color_mode == "none" else value.colour
    size = _size(text, tile, has_name=bool(name))
    top = (tile.height - size - (_NAME_SIZE + 6 if name else 0)) / 2
    parts = [element("title", f"{value.name}: {value.text}")]
    if filled:
        parts.append(element("rect", x="0.5%", width="99%", height="100%", rx=4, fill=value.colour))
    elif options.graph_mode == "area":
        parts.append(_spark(value, tile, data))
    if name:
        shown = cut(name, tile.width - 8, _NAME_SIZE)
        parts.append(
            element(
                "text", shown, x="50%", y=top + _NAME_SIZE, text_anchor="middle", class_="name", fill=_quiet(filled)
            )
        )
        top += _NAME_SIZE + 6
    if text:
        place = {"x": "50%", "y": top + size * 0.82, "text_anchor": "middle"}
        parts.append(element("text", text, fill=colour, font_size=size, class_="big", **place))
    return group(*parts)


def _quiet(filled: bool) -> str:  # noqa: FBT001 -- of a colour
    return "var(--panel)" if filled else "var(--text)"


def _texts(value: ShownValue, mode: str, *, alone: bool) -> tuple[str, str]:
    """Return name and number as the text mode asks; `auto` names a number only when there are several."""
    if mode == "name":
        return "", value.name
    if mode == "none":
        return "", ""
    with_name = mode == "value_and_name" or (mode == "auto" and not alone)
    return (value.name if with_name else ""), value.text


def _size(text: str, tile: Canvas, *, has_name: bool) -> float:
    fits = (tile.width - 12) / (max(len(text), 1) * CHARACTER * 1.08)
    room = tile.height - (_NAME_SIZE + 10 if has_name else 6)
    return round(max(min(fits, room * 0.8, _LARGEST), _SMALLEST), 1)


def _spark(value: ShownValue, tile: Canvas, data: PanelData) -> Markup:
    """Return a faint area of the values over time in the lower half of the tile."""
    series, when = value.shown.series, data.when
    points = broken(series.points, step_seconds=series.step_seconds)
    points = thinned(points, start=when.start, end=when.end, slots=_SPARK_POINTS)
    numbers = series.numbers
    if len(numbers) < 2:  # noqa: PLR2004 -- one point is no line
        return Markup()
    time, scale = Scale(when.start, when.end), value_scale(min(numbers), max(numbers))
    path = "".join(_spark_path(run, time, scale, tile) for run in runs(points) if len(run) > 1)
    return stretched(element("path", d=path, fill=value.colour, fill_opacity=0.15), tile.width, tile.height)


def _spark_path(run: Sequence[tuple[float, float]], time: Scale, scale: Scale, tile: Canvas) -> str:
    places = [(time.part(at) * tile.width, tile.height * (1 - scale.part(value) / 2)) for at, value in run]
    line = "L".join(f"{x:.0f},{y:.0f}" for x, y in places)
    return f"M{line}L{places[-1][0]:.0f},{tile.height:.0f}H{places[0][0]:.0f}z"
