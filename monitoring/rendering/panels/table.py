"""Tables of answers, and the list of firing alerts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from monitoring.rendering.dashboard import FieldConfig, GrafanaModel
from monitoring.rendering.drawing import Cell, Drawing, Grid
from monitoring.rendering.field_display import FieldDisplay, FieldType, display_for
from monitoring.rendering.panel_data import PanelData
from monitoring.rendering.panel_options import read_options
from monitoring.rendering.table_frames import Column, Frame, Item, frames_of, sorted_by, transformed
from monitoring.rendering.units import format_value
from monitoring.rendering.variables import Value, Variables

#: Rows of one table.
MAX_ROWS = 200
#: Columns of the list of alerts, in order, before the other labels.
_ALERT_FIRST = ("alertname", "severity")
_SEVERITIES = ("critical", "warning", "info", "none")
#: Labels that say nothing in a list of firing alerts.
_ALERT_NOISE = frozenset({"Time", "alertstate", "Value"})


class _Sort(GrafanaModel):
    display_name: str
    desc: bool = False


class _TableOptions(GrafanaModel):
    show_header: bool = True
    sort_by: tuple[_Sort, ...] = ()


def draw_table(data: PanelData) -> tuple[Drawing, tuple[str, ...]]:
    """Return the table of a panel, and the ids of the transformations that we cannot do."""
    frame, unknown = transformed(frames_of(data), data.panel.transformations)
    for rule in read_options(_TableOptions, data.panel).sort_by[::-1]:
        frame = frame and sorted_by(frame, rule.display_name, desc=rule.desc)
    return _drawing(data, frame), unknown


def draw_alert_list(data: PanelData) -> Drawing:
    """Return the firing alerts, most severe first."""
    frames = frames_of(data)
    if not frames:
        return _drawing(data, None)
    frame = sorted_by(frames[0], "alertname", desc=False)
    place = frame.place("severity")
    if place is not None:
        frame = Frame(frame.columns, tuple(sorted(frame.rows, key=lambda row: _severity(row[place]))))
    kept = [place for place, column in enumerate(frame.columns) if column.name not in _ALERT_NOISE]
    kept.sort(key=lambda place: _rank(frame.columns[place].name))
    return _drawing(data, frame.keep(kept))


def _severity(item: Item) -> int:
    return _SEVERITIES.index(item) if isinstance(item, str) and item in _SEVERITIES else len(_SEVERITIES)


def _rank(name: str) -> int:
    return _ALERT_FIRST.index(name) if name in _ALERT_FIRST else len(_ALERT_FIRST)


def _drawing(data: PanelData, frame: Frame | None) -> Drawing:
    config = data.panel.field_config
    if frame is None or not frame.rows:
        return Drawing(message=FieldDisplay(config.defaults).no_value)
    displays = [_display(config, frame, place) for place in range(len(frame.columns))]
    frame_places = [place for place, display in enumerate(displays) if not display.custom("hidden", default=False)]
    columns = tuple(displays[p].options.display_name or frame.columns[p].name for p in frame_places)
    rows = tuple(
        tuple(_cell(row[place], place, row, frame, displays, data.variables) for place in frame_places)
        for row in frame.rows[:MAX_ROWS]
    )
    notes = (f"{MAX_ROWS} of {len(frame.rows)} rows are shown",) if len(frame.rows) > MAX_ROWS else ()
    return Drawing(grid=Grid(columns, rows), notes=notes)


def _display(config: FieldConfig, frame: Frame, place: int) -> FieldDisplay:
    column = frame.columns[place]
    return display_for(config, column.name, kind=_kind(frame, place), ref_id=column.ref_id, original=column.original)


def _kind(frame: Frame, place: int) -> FieldType:
    if frame.columns[place].is_time:
        return "time"
    return "string" if any(isinstance(row[place], str) for row in frame.rows) else "number"


def _cell(
    item: Item,
    place: int,
    row: Sequence[Item],
    frame: Frame,
    displays: Sequence[FieldDisplay],
    variables: Variables,
) -> Cell:
    display, column = displays[place], frame.columns[place]
    kind = str(display.custom("cellOptions.type", "auto"))
    text, colour = _text(item, display, column), None
    if kind.startswith("color-"):
        colour = (
            display.colour_of(item) if isinstance(item, str) else display.colour(item) if item is not None else None
        )
    url = ""
    if display.options.links:
        url = _link(display.options.links[0].url, text, item, row, frame.columns, variables)
    is_number = isinstance(item, float) and not column.is_time and text == display.number(item)
    part = _part(item, place, frame, display) if kind == "gauge" else None
    return Cell(text, colour, kind == "color-background" and bool(colour), url, is_number, part)


def _text(item: Item, display: FieldDisplay, column: Column) -> str:
    if item is None or (isinstance(item, float) and math.isnan(item)):
        return display.options.no_value or "-"
    if isinstance(item, str):
        return display.text_of(item)
    return format_value(item, "dateTimeAsIso") if column.is_time else display.text(item)


def _part(item: Item, place: int, frame: Frame, display: FieldDisplay) -> float | None:
    """Return how long the bar of a cell is, as part of the highest number in its column."""
    numbers = [cell for row in frame.rows if isinstance(cell := row[place], float) and math.isfinite(cell)]
    highest = display.options.max if display.options.max is not None else max(numbers, default=0.0)
    if not isinstance(item, float) or not math.isfinite(item) or highest <= 0:
        return None
    return min(max(item / highest, 0.0), 1.0)


def _link(url: str, text: str, item: Item, row: Sequence[Item], columns: Sequence[Column], variables: Variables) -> str:
    """Return a cell's link, with values of its own row in place of `${__data.fields.NAME}`."""
    known = variables
    for index, (column, other) in enumerate(zip(columns, row, strict=True)):
        shown = "" if other is None else str(other)
        for name in {column.name, column.original}:
            for form in (f"${{__data.fields.{name}}}", f'${{__data.fields["{name}"]}}'):
                url = url.replace(form, f"${{row_{index}}}")
        known = known.with_value(f"row_{index}", Value((shown,)))
    for name, value in (("value_text", text), ("value_raw", "" if item is None else str(item))):
        known = known.with_value(name, Value((value,)))
    url = url.replace("${__value.text}", "${value_text}").replace("${__value.raw}", "${value_raw}")
    return known.in_url(url)
