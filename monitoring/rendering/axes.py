"""Grid, axes and events of a chart over time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from monitoring.rendering.drawing import Event
from monitoring.rendering.scale import Scale, time_text, time_ticks
from monitoring.rendering.svg import element, group, percent, text_width

#: Pixels below a chart for the labels of the time axis.
TIME_AXIS_HEIGHT = 18.0
#: Pixels above a chart for half of the highest label.
VALUE_AXIS_TOP = 8.0
#: Pixels of a chart's room that are not the chart.
AXES_HEIGHT = TIME_AXIS_HEIGHT + VALUE_AXIS_TOP + 4
#: Pixels between two labels of an axis.
_TICK_WIDTH, _TICK_HEIGHT = 90.0, 34.0
_LABEL_GAP = 6.0


@dataclass(frozen=True)
class ValueAxis:
    """Labels at heights, and the room that they need beside the chart."""

    scale: Scale
    ticks: tuple[tuple[float, str], ...]
    is_right: bool = False

    @property
    def room(self) -> float:
        """Pixels."""
        return max((text_width(label, 11) for _, label in self.ticks), default=0.0) + _LABEL_GAP + 4


def value_axis(
    scale: Scale, height: float, text: Callable[[float], str], *, is_right: bool = False, binary: bool = False
) -> ValueAxis:
    """Return the axis of a scale on a chart so many pixels high."""
    values = scale.ticks(max(int(height / _TICK_HEIGHT), 2), binary=binary)
    return ValueAxis(scale, tuple((value, text(value)) for value in values), is_right)


def draw_value_axis(axis: ValueAxis, height: float, *, with_grid: bool) -> Markup:
    """Return grid lines and labels."""
    parts = []
    for value, label in axis.ticks:
        y = height * (1 - axis.scale.part(value))
        if with_grid:
            parts.append(element("line", x1="0", x2="100%", y1=y, y2=y, class_="grid"))
        side = {"x": "100%", "dx": _LABEL_GAP} if axis.is_right else {"x": -_LABEL_GAP, "text_anchor": "end"}
        parts.append(element("text", label, y=y + 4, class_="tick", **side))
    return group(*parts)


def draw_time_axis(start: float, end: float, width: float, height: float) -> Markup:
    """Return lines and labels of round times; every second label gives way on a narrow screen."""
    scale = Scale(start, end)
    parts = []
    for index, (at, label) in enumerate(time_ticks(start, end, max(int(width / _TICK_WIDTH), 2))):
        x, part = percent(scale.part(at)), scale.part(at)
        if not 0 <= part <= 1:
            continue
        # A label at the edge would reach beyond the panel.
        anchor = "start" if part < 0.02 else "end" if part > 0.98 else "middle"  # noqa: PLR2004 -- parts of the width
        kind = "tick odd" if index % 2 else "tick"
        parts.append(element("line", x1=x, x2=x, y1="0", y2=height, class_="grid"))
        parts.append(element("text", label, x=x, y=height + 14, text_anchor=anchor, class_=kind))
    return group(*parts)


def draw_events(events: Iterable[Event], start: float, end: float, height: float) -> Markup:
    """Return a dashed line for each moment, and an area between two for each span."""
    scale = Scale(start, end)
    parts = []
    for event in events:
        first, last = max(scale.part(event.start), 0.0), min(scale.part(event.end), 1.0)
        if first > 1 or last < 0:
            continue
        title = element("title", event_text(event))
        if last > first:
            area = {"x": percent(first), "y": "0", "width": percent(last - first), "height": height}
            parts.append(element("rect", title, fill=event.colour, class_="span", **area))
        edges: Sequence[float] = (first, last) if last > first else (first,)
        parts += [
            element("line", title, x1=percent(x), x2=percent(x), y1="0", y2=height, stroke=event.colour, class_="event")
            for x in edges
        ]
    return group(*parts)


def event_text(event: Event) -> str:
    """Return what an event says: when, its name and its text."""
    until = f" to {time_text(event.end)}" if event.end > event.start else ""
    return f"{time_text(event.start)}{until} UTC: {event.name}" + (f" ({event.text})" if event.text else "")


def stretched(body: Markup, width: float, height: float) -> Markup:
    """Return elements in pixels of a chart so wide, stretched sideways to the width that there is.

    Strokes keep their width by `vector-effect`, which the page's style sets.
    """
    size = {"width": "100%", "height": height, "viewBox": f"0 0 {width:.0f} {height:.0f}"}
    return element("svg", body, class_="data", preserveAspectRatio="none", **size)
