"""Answers as tables, and Grafana's transformations of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from monitoring.rendering.dashboard import Transformation
from monitoring.rendering.panel_data import PanelData
from monitoring.rendering.regexes import compiled
from monitoring.rendering.series import Series

#: A cell: text, number, or nothing.
Item = str | float | None


@dataclass(frozen=True)
class Column:
    """One column: its name, its name before it was renamed, the query, and what it holds."""

    name: str
    original: str
    ref_id: str = ""
    is_time: bool = False


@dataclass(frozen=True)
class Frame:
    """A table of one or more queries; rows hold an item for each column."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Item, ...], ...]

    def keep(self, order: Sequence[int]) -> Frame:
        """Return the columns at these places, in this order."""
        return Frame(
            tuple(self.columns[place] for place in order), tuple(tuple(row[p] for p in order) for row in self.rows)
        )

    def place(self, name: str) -> int | None:
        """Return where the column of this name stands."""
        return next((p for p, column in enumerate(self.columns) if name in {column.name, column.original}), None)


def frames_of(data: PanelData) -> list[Frame]:
    """Return a frame for each query: time, labels by name, value (`Value #A` when there are several queries)."""
    asked = [answer for answer in data.answers if not answer.target.hide]
    return [_frame(answer.target.ref_id, answer.series, several=len(asked) > 1) for answer in asked if answer.series]


def transformed(frames: list[Frame], transformations: Iterable[Transformation]) -> tuple[Frame | None, tuple[str, ...]]:
    """Return the first frame after all transformations, and the ids of those that we do not know."""
    unknown = []
    for one in transformations:
        if one.disabled:
            continue
        change = _TRANSFORMATIONS.get(one.id)
        if change is None:
            unknown.append(one.id)
        elif frames:
            frames = change(frames, one.options)
    return (frames[0] if frames else None), tuple(unknown)


def _frame(ref_id: str, series: Sequence[Series], *, several: bool) -> Frame:
    labels = sorted({label for one in series for label in one.labels if label != "__name__"})
    value = f"Value #{ref_id}" if several else "Value"
    columns = (
        Column("Time", "Time", ref_id, is_time=True),
        *(Column(label, label, ref_id) for label in labels),
        Column(value, value, ref_id),
    )
    rows = tuple(
        (one.points[-1][0] * 1000, *(one.labels.get(label) for label in labels), one.points[-1][1])
        for one in series
        if one.points
    )
    return Frame(columns, rows)


def _merge(frames: list[Frame], _options: Mapping[str, Any]) -> list[Frame]:
    """Join rows that agree in every column that they share, as Grafana's `merge` does."""
    shared = [
        column.name for column in frames[0].columns if all(frame.place(column.name) is not None for frame in frames)
    ]
    return [_joined(frames, shared)]


def _join_by_field(frames: list[Frame], options: Mapping[str, Any]) -> list[Frame]:
    """Join rows by one field."""
    field = str(options.get("byField", "Time"))
    with_field = [frame for frame in frames if frame.place(field) is not None]
    return [_joined(with_field, [field])] if with_field else frames


def _joined(frames: list[Frame], shared: Sequence[str]) -> Frame:
    columns: dict[str, Column] = {}
    rows: dict[tuple[Item, ...], dict[str, Item]] = {}
    for frame in frames:
        keys = [place for name in shared if (place := frame.place(name)) is not None]
        columns |= {column.name: column for column in frame.columns if column.name not in columns}
        for row in frame.rows:
            target = rows.setdefault(tuple(row[place] for place in keys), {})
            for column, item in zip(frame.columns, row, strict=True):
                target.setdefault(column.name, item)
    # Values come last, as in a single frame.
    names = sorted(columns, key=lambda name: name.startswith("Value"))
    return Frame(
        tuple(columns[name] for name in names), tuple(tuple(row.get(name) for name in names) for row in rows.values())
    )


def _organize(frames: list[Frame], options: Mapping[str, Any]) -> list[Frame]:
    """Leave out, order and rename columns."""
    excluded = options.get("excludeByName") or {}
    included = options.get("includeByName") or {}
    index, names = options.get("indexByName") or {}, options.get("renameByName") or {}

    def organized(frame: Frame) -> Frame:
        places = [
            place
            for place, column in enumerate(frame.columns)
            if not excluded.get(column.name) and (not any(included.values()) or included.get(column.name))
        ]
        places.sort(key=lambda place: index.get(frame.columns[place].name, len(frame.columns)))
        kept = frame.keep(places)
        return replace(kept, columns=tuple(_renamed(column, names.get(column.name)) for column in kept.columns))

    return [organized(frame) for frame in frames]


def _rename_by_regex(frames: list[Frame], options: Mapping[str, Any]) -> list[Frame]:
    pattern = compiled("renameByRegex", str(options.get("regex") or "(.*)"))
    by = re.sub(r"\$(\d)", r"\\\1", str(options.get("renamePattern", "$1")))
    return [
        replace(
            frame, columns=tuple(_renamed(column, pattern.sub(by, column.name, count=1)) for column in frame.columns)
        )
        for frame in frames
    ]


def _filter_fields(frames: list[Frame], options: Mapping[str, Any]) -> list[Frame]:
    """Keep or leave out columns by name or by a regular expression."""

    def matches(rule: object, name: str) -> bool:
        if not isinstance(rule, Mapping):
            return False
        pattern = str(rule.get("pattern") or "")
        by_pattern = bool(pattern) and compiled("filterFieldsByName", pattern).search(name) is not None
        return name in (rule.get("names") or []) or by_pattern

    include, exclude = options.get("include"), options.get("exclude")
    return [
        frame.keep(
            [
                place
                for place, column in enumerate(frame.columns)
                if (not include or matches(include, column.name)) and not matches(exclude, column.name)
            ]
        )
        for frame in frames
    ]


def _sort_by(frames: list[Frame], options: Mapping[str, Any]) -> list[Frame]:
    for rule in options.get("sort") or []:
        frames = [sorted_by(frame, str(rule.get("field")), desc=bool(rule.get("desc"))) for frame in frames]
    return frames


def sorted_by(frame: Frame, name: str, *, desc: bool) -> Frame:
    """Return the rows in order of a column, empty items last; the same frame when there is no such column."""
    place = frame.place(name)
    if place is None:
        return frame
    full = [row for row in frame.rows if not _is_nothing(row[place])]
    empty = [row for row in frame.rows if _is_nothing(row[place])]
    is_text = any(isinstance(row[place], str) for row in full)
    full.sort(key=lambda row: str(row[place]) if is_text else row[place], reverse=desc)  # type: ignore[arg-type, return-value]  # numbers here
    return Frame(frame.columns, (*full, *empty))


def _renamed(column: Column, name: str | None) -> Column:
    return replace(column, name=name) if name else column


def _is_nothing(item: Item) -> bool:
    return item is None or (isinstance(item, float) and math.isnan(item))


def _same(frames: list[Frame], _options: Mapping[str, Any]) -> list[Frame]:
    return frames


_TRANSFORMATIONS: Mapping[str, Callable[[list[Frame], Mapping[str, Any]], list[Frame]]] = {
    "merge": _merge,
    "joinByField": _join_by_field,
    "seriesToColumns": _join_by_field,
    "organize": _organize,
    "renameByRegex": _rename_by_regex,
    "filterFieldsByName": _filter_fields,
    "sortBy": _sort_by,
    "labelsToFields": _same,  # our frames have them already
}
