"""Lanes that show which state a series was in, each state by colour, pattern and word."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from monitoring.rendering.axes import AXES_HEIGHT, TIME_AXIS_HEIGHT, VALUE_AXIS_TOP, draw_events, draw_time_axis
from monitoring.rendering.drawing import Canvas, Chart, Drawing, Event, Legend, LegendEntry
from monitoring.rendering.field_display import FieldDisplay
from monitoring.rendering.legend_layout import without_legend
from monitoring.rendering.panel_data import PanelData
from monitoring.rendering.panel_options import SeriesOptions, read_options
from monitoring.rendering.patterns import pattern_fill
from monitoring.rendering.scale import Scale, time_text
from monitoring.rendering.series import Point, broken
from monitoring.rendering.shown_series import ShownSeries, shown_series
from monitoring.rendering.svg import cut, element, group, percent, text_width
from monitoring.rendering.theme import series_colour

_LANE, _LANE_MIN, _GAP = 64.0, 16.0, 4.0
_MOST_NAME_ROOM = 150.0
#: Pixels of a state that a reader can still see.
_NARROWEST = 4.0


@dataclass(frozen=True)
class _Stretch:
    """One state from `start` to `end`."""

    start: float
    end: float
    text: str


def draw_state_timeline(
    data: PanelData, canvas: Canvas, events: Sequence[Event], *, pixels_per_point: float
) -> Drawing:
    """Return a lane for each series."""
    shown, notes = shown_series(data)
    slots = max(int(canvas.width / max(_NARROWEST, 2 * pixels_per_point)), 1)
    lanes = [(one, _stretches(one, data, slots)) for one in shown]
    lanes = [(one, stretches) for one, stretches in lanes if stretches]
    if not lanes:
        return Drawing(message=FieldDisplay(data.panel.field_config.defaults).no_value, notes=notes)
    states = _States(lanes)
    below = states.legend() if read_options(SeriesOptions, data.panel).legend.show_legend else None
    height = without_legend(canvas, below, notes).height - AXES_HEIGHT
    lane = min(max(height / len(lanes), _LANE_MIN), _LANE)
    fits = max(int((height - 18) / lane), 1)
    if lane * len(lanes) > height + 1:
        notes = (*notes, f"{fits} of {len(lanes)} lanes are shown")
        lanes = lanes[:fits]
    left = min(max(text_width(one.name, 13) for one, _ in lanes) + 12, _MOST_NAME_ROOM)
    width, drawn = canvas.width - left - 8, lane * len(lanes)
    body = group(
        draw_time_axis(data.when.start, data.when.end, width, drawn),
        *(
            _lane(one, stretches, index * lane, _Lane(data, lane, left, width, states))
            for index, (one, stretches) in enumerate(lanes)
        ),
        draw_events(events, data.when.start, data.when.end, drawn),
    )
    now = ", ".join(f"{one.name} {stretches[-1].text}" for one, stretches in lanes)
    chart = Chart(body, f"{data.title}: last states {now}", drawn, VALUE_AXIS_TOP, left, 8, TIME_AXIS_HEIGHT)
    return Drawing(chart=chart, legend=below, notes=notes)


class _States:
    """The states of a panel, each with a colour and a pattern of its own."""

    def __init__(self, lanes: Iterable[tuple[ShownSeries, Sequence[_Stretch]]]) -> None:
        self._colours: dict[str, str] = {}
        for one, stretches in lanes:
            self._add(one, stretches)

    def _add(self, one: ShownSeries, stretches: Sequence[_Stretch]) -> None:
        values = {one.display.text(value): value for _, value in one.series.points if math.isfinite(value)}
        for stretch in stretches:
            if stretch.text not in self._colours:
                colour = one.display.colour(values[stretch.text])
                self._colours[stretch.text] = colour or series_colour(len(self._colours))

    def colour(self, text: str) -> str:
        """Return the colour of a state."""
        return self._colours[text]

    def pattern(self, text: str) -> int:
        """Return the index of the pattern of a state."""
        return list(self._colours).index(text)

    def legend(self) -> Legend:
        """Return every state with its colour and pattern."""
        return Legend(
            tuple(
                LegendEntry(text, colour, pattern=index) for index, (text, colour) in enumerate(self._colours.items())
            )
        )


def _stretches(one: ShownSeries, data: PanelData, slots: int) -> list[_Stretch]:
    """Return the states of a series, neighbours of the same state joined; each lasts until the next sample.

    Of several samples in one of the slots the highest counts: codes rise with trouble, and none must be lost.
    """
    points, step = _slotted(one, data, slots)
    found: list[_Stretch] = []
    for at, value in broken(points, step_seconds=step):
        if not math.isfinite(value):
            continue
        text, until = one.display.text(value), min(at + step, data.when.end)
        last = found[-1] if found else None
        if last and last.text == text and at - last.end <= step / 2:
            found[-1] = _Stretch(last.start, until, text)
        else:
            found.append(_Stretch(at, until, text))
    return [stretch for stretch in found if stretch.end > stretch.start or len(found) == 1]


def _slotted(one: ShownSeries, data: PanelData, slots: int) -> tuple[list[Point], float]:
    """Return at most one point for each slot, and their distance in seconds."""
    step = one.series.step_seconds or data.step
    width = data.when.seconds / slots
    if width <= step:
        return list(one.series.points), step
    highest: dict[int, float] = {}
    for at, value in one.series.points:
        slot = int((at - data.when.start) / width)
        if math.isfinite(value):
            highest[slot] = max(value, highest.get(slot, value))
    return [(data.when.start + slot * width, value) for slot, value in sorted(highest.items())], width


@dataclass(frozen=True)
class _Lane:
    """What all lanes of a panel share."""

    data: PanelData
    height: float
    left: float
    width: float
    states: _States


def _lane(one: ShownSeries, stretches: Iterable[_Stretch], top: float, lane: _Lane) -> Markup:
    name = element("title", one.name)
    baseline = top + lane.height / 2 + 4
    parts = [element("text", name, cut(one.name, lane.left - 10), x=-8, y=baseline, text_anchor="end", class_="name")]
    time = Scale(lane.data.when.start, lane.data.when.end)
    parts += [_stretch(one, stretch, top, time, lane) for stretch in stretches]
    return group(*parts)


def _stretch(one: ShownSeries, stretch: _Stretch, top: float, time: Scale, lane: _Lane) -> Markup:
    first, last = max(time.part(stretch.start), 0.0), min(time.part(stretch.end), 1.0)
    height, colour = lane.height - _GAP, lane.states.colour(stretch.text)
    when = f"{time_text(stretch.start)} to {time_text(stretch.end)} UTC"
    parts = [
        element("title", f"{one.name}: {stretch.text}, {when}"),
        element("rect", width="100%", height="100%", fill=colour),
        element("rect", width="100%", height="100%", fill=pattern_fill(lane.states.pattern(stretch.text))),
    ]
    if text_width(stretch.text) + 14 < (last - first) * lane.width and height >= 13:  # noqa: PLR2004 -- px of a line
        room = text_width(stretch.text) + 8
        place = {"x": "50%", "y": height / 2 + 4, "text_anchor": "middle"}
        parts.append(
            element(
                "svg",
                element("rect", x=-room / 2, y=height / 2 - 8, width=room, height=16, rx=3, fill=colour),
                x="50%",
                overflow="visible",
            )
        )
        parts.append(element("text", stretch.text, class_="state", **place))
    place = {"x": percent(first), "y": top, "width": percent(max(last - first, 0.001)), "height": height}
    return element("svg", *parts, **place)
