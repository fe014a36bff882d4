"""Half circles and bars that show how far a number has come."""

from __future__ import annotations

import math

from markupsafe import Markup

from monitoring.rendering.drawing import Canvas, Chart, Drawing
from monitoring.rendering.field_display import FieldDisplay
from monitoring.rendering.panel_data import PanelData
from monitoring.rendering.panel_options import ValueOptions, read_options
from monitoring.rendering.panels.values import ShownValue, shown_values
from monitoring.rendering.svg import cut, element, group, number, percent

#: Size of the drawing of a half circle, in units of its own.
_BOX_WIDTH, _BOX_HEIGHT, _RADIUS, _STROKE = 200.0, 122.0, 84.0, 18.0
_ROW, _ROW_MIN = 40.0, 24.0


def draw_gauge(data: PanelData, canvas: Canvas) -> Drawing:
    """Return a half circle for each series."""
    values, notes = shown_values(data, read_options(ValueOptions, data.panel).reduce_options)
    if not values:
        return _nothing(data, notes)
    width = 1 / len(values)
    body = group(
        *(
            element(
                "svg",
                _half_circle(value, with_name=len(values) > 1),
                x=percent(index * width),
                y="0",
                width=percent(width),
                height=canvas.height,
                viewBox=f"0 0 {_BOX_WIDTH:.0f} {_BOX_HEIGHT:.0f}",
            )
            for index, value in enumerate(values)
        )
    )
    return Drawing(chart=Chart(body, _label(data, values), canvas.height), notes=notes)


def draw_bar_gauge(data: PanelData, canvas: Canvas) -> Drawing:
    """Return a horizontal bar for each series, with its name and its number."""
    values, notes = shown_values(data, read_options(ValueOptions, data.panel).reduce_options)
    if not values:
        return _nothing(data, notes)
    row = min(max(canvas.height / len(values), _ROW_MIN), _ROW)
    fits = max(int(canvas.height / row), 1)
    if len(values) > fits:
        notes = (*notes, f"{fits} of {len(values)} bars are shown")
    body = group(*(_bar(value, index * row, row, canvas.width) for index, value in enumerate(values[:fits])))
    return Drawing(chart=Chart(body, _label(data, values), canvas.height), notes=notes)


def _nothing(data: PanelData, notes: tuple[str, ...]) -> Drawing:
    return Drawing(message=FieldDisplay(data.panel.field_config.defaults).no_value, notes=notes)


def _label(data: PanelData, values: list[ShownValue]) -> str:
    return f"{data.title}: " + ", ".join(f"{value.name} {value.text}" for value in values)


def _half_circle(value: ShownValue, *, with_name: bool) -> Markup:
    centre_y = _RADIUS + _STROKE / 2 + 4
    parts = [
        element("title", f"{value.name}: {value.text}"),
        element("path", d=_arc(1.0, centre_y), class_="track", stroke_width=_STROKE),
        element("path", d=_arc(value.part, centre_y), stroke=value.colour, stroke_width=_STROKE, class_="arc"),
        element(
            "text",
            value.text,
            x=100,
            y=centre_y - 8,
            text_anchor="middle",
            fill=value.colour,
            font_size=26,
            class_="big",
        ),
    ]
    if with_name:
        parts.append(element("text", cut(value.name, 190), x=100, y=centre_y + 18, text_anchor="middle", class_="name"))
    return group(*parts)


def _arc(part: float, centre_y: float) -> str:
    angle = math.pi * (1 - min(max(part, 0.0), 1.0))
    x, y = 100 + _RADIUS * math.cos(angle), centre_y - _RADIUS * math.sin(angle)
    return (
        f"M{number(100 - _RADIUS)},{number(centre_y)}A{number(_RADIUS)},{number(_RADIUS)} 0 0 1 {number(x)},{number(y)}"
    )


def _bar(value: ShownValue, top: float, row: float, width: float) -> Markup:
    bar = max(row - 22, 4.0)
    return group(
        element("title", f"{value.name}: {value.text}"),
        element("text", cut(value.name, width * 0.65), x="0", y=top + 12, class_="name"),
        element("text", value.text, x="100%", y=top + 12, text_anchor="end", fill=value.colour, class_="figure"),
        element("rect", x="0", y=top + 16, width="100%", height=bar, rx=2, class_="bar-track"),
        element("rect", x="0", y=top + 16, width=percent(value.part), height=bar, rx=2, fill=value.colour),
    )
