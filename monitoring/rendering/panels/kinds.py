"""Which module draws which type of panel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from monitoring.rendering.drawing import Canvas, Drawing, Event
from monitoring.rendering.panel_data import PanelData
from monitoring.rendering.panels.gauge import draw_bar_gauge, draw_gauge
from monitoring.rendering.panels.heatmap import draw_heatmap
from monitoring.rendering.panels.stat import draw_stat
from monitoring.rendering.panels.state_timeline import draw_state_timeline
from monitoring.rendering.panels.table import draw_alert_list, draw_table
from monitoring.rendering.panels.text import draw_text
from monitoring.rendering.panels.timeseries import draw_timeseries


@dataclass(frozen=True)
class DrawnPanel:
    """The body of a panel, and what we could not do."""

    drawing: Drawing
    warnings: tuple[str, ...] = ()


_Draw = Callable[[PanelData, Canvas, Sequence[Event], float], DrawnPanel]


def _table(data: PanelData, _canvas: Canvas, _events: Sequence[Event], _pixels: float) -> DrawnPanel:
    drawing, unknown = draw_table(data)
    return DrawnPanel(drawing, tuple(f"transformation {name!r} is not supported" for name in unknown))


_KINDS: Mapping[str, _Draw] = {
    "stat": lambda data, canvas, _events, _pixels: DrawnPanel(draw_stat(data, canvas)),
    "gauge": lambda data, canvas, _events, _pixels: DrawnPanel(draw_gauge(data, canvas)),
    "bargauge": lambda data, canvas, _events, _pixels: DrawnPanel(draw_bar_gauge(data, canvas)),
    "timeseries": lambda data, canvas, events, pixels: DrawnPanel(
        draw_timeseries(data, canvas, events, pixels_per_point=pixels)
    ),
    "state-timeline": lambda data, canvas, events, pixels: DrawnPanel(
        draw_state_timeline(data, canvas, events, pixels_per_point=pixels)
    ),
    "heatmap": lambda data, canvas, events, pixels: DrawnPanel(
        draw_heatmap(data, canvas, events, pixels_per_point=pixels)
    ),
    "table": _table,
    "alertlist": lambda data, _canvas, _events, _pixels: DrawnPanel(draw_alert_list(data)),
    "text": lambda data, _canvas, _events, _pixels: DrawnPanel(draw_text(data)),
}


def draw_panel(
    data: PanelData, canvas: Canvas, events: Sequence[Event], *, pixels_per_point: float = 1.0
) -> DrawnPanel:
    """Return the body of a panel; one of an unknown type, or whose queries failed, says so.

    Raises:
        InvalidInputError: One of its options cannot be used.
    """
    draw = _KINDS.get(data.panel.type)
    if draw is None:
        text = f"panels of type {data.panel.type!r} are not supported"
        return DrawnPanel(Drawing(message=text), (text,))
    if data.errors and not data.series:
        return DrawnPanel(Drawing(message="Query failed", notes=tuple(data.errors)))
    drawn = draw(data, canvas, events, pixels_per_point)
    notes = [*drawn.drawing.notes, *data.errors]
    if data.panel.repeat:
        notes.append(f"Grafana repeats this panel for each {data.panel.repeat}; here all are in one")
    return DrawnPanel(replace(drawn.drawing, notes=tuple(notes)), drawn.warnings)
