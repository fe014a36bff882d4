"""How a legend is set: which entries stand on which line, and how high that makes it."""

from __future__ import annotations

from collections.abc import Sequence

from monitoring.rendering.drawing import Canvas, Legend, LegendEntry
from monitoring.rendering.layout import LEGEND_LINE, LEGEND_SHARE
from monitoring.rendering.svg import text_width

#: Pixels of a swatch and of the gap after an entry.
_SWATCH, _ENTRY_GAP = 20.0, 16.0


def entry_text(legend: Legend, entry: LegendEntry) -> str:
    """Return an entry of a list: its name, and its figures with what they are."""
    figures = "".join(f" {title}: {value}" for title, value in zip(legend.titles, entry.values, strict=False))
    return entry.name + figures


def legend_lines(legend: Legend, width: float) -> list[list[LegendEntry]]:
    """Return the entries by line, as many on each as fit; in a table each has its own line."""
    if legend.as_table:
        return [[entry] for entry in legend.entries]
    lines: list[list[LegendEntry]] = []
    room = 0.0
    for entry in legend.entries:
        needed = entry_width(legend, entry)
        if not lines or needed > room:
            lines.append([])
            room = width
        lines[-1].append(entry)
        room -= needed
    return lines


def entry_width(legend: Legend, entry: LegendEntry) -> float:
    """Return the pixels of an entry of a list."""
    return _SWATCH + text_width(entry_text(legend, entry)) + _ENTRY_GAP


def without_legend(canvas: Canvas, legend: Legend | None, notes: Sequence[str] = ()) -> Canvas:
    """Return the room that legend and notes leave for the chart."""
    if legend is None and not notes:
        return canvas
    lines = len(legend_lines(legend, canvas.width)) + legend.as_table if legend else 0
    taken = min(lines * LEGEND_LINE + 4, canvas.height * LEGEND_SHARE) if lines else 0.0
    return Canvas(canvas.width, max(canvas.height - taken - 18 * len(notes), 40.0))
