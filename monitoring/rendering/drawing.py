"""What a panel looks like, before it becomes HTML or part of a picture."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True)
class Canvas:
    """Room for the body of a panel, in pixels of the page at its design width."""

    width: float
    height: float


@dataclass(frozen=True)
class Chart:
    """A chart whose horizontal places are percentages, so that it fits any width without its texts being stretched.

    Args:
        body: Elements of an `<svg>` of this height; texts may stand beyond its sides.
        label: What it shows, for those who do not see it.
        height: Pixels.
        top: Pixels above it, as the highest label needs.
        left: Pixels that texts need to the left of it.
        right: The same to the right.
        bottom: The same below.
    """

    body: Markup
    label: str
    height: float
    top: float = 2.0
    left: float = 0.0
    right: float = 0.0
    bottom: float = 0.0


@dataclass(frozen=True)
class Cell:
    """One cell of a table; `filled` puts the colour behind the text, `part` (0-1) draws a bar."""

    text: str
    colour: str | None = None
    filled: bool = False
    url: str = ""
    is_number: bool = False
    part: float | None = None


@dataclass(frozen=True)
class Grid:
    """A table; the first column names the row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class LegendEntry:
    """Name, colour and figures of one series; `pattern` is the index of its pattern, None for a plain colour."""

    name: str
    colour: str
    values: tuple[str, ...] = ()
    pattern: int | None = None


@dataclass(frozen=True)
class Legend:
    """Entries, and what their figures are called."""

    entries: tuple[LegendEntry, ...]
    titles: tuple[str, ...] = ()
    as_table: bool = False


@dataclass(frozen=True)
class Drawing:
    """The body of a panel: any of these parts, in this order.

    Args:
        message: One line in place of data, as "No data".
        chart: Drawn.
        grid: As a table.
        words: Markdown.
        legend: Below the chart.
        notes: What the reader must know, as how many series are not shown.
    """

    message: str = ""
    chart: Chart | None = None
    grid: Grid | None = None
    words: str = ""
    legend: Legend | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Event:
    """One annotation, from `start` to `end` in Unix seconds; both are the same for a moment."""

    start: float
    end: float
    name: str
    text: str
    colour: str
