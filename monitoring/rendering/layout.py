"""Where the panels of a dashboard stand: sections under rows, in Grafana's grid of 24 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from monitoring.rendering.dashboard import Dashboard, GridPos, Panel
from monitoring.rendering.drawing import Canvas

COLUMNS = 24
#: Pixels; Grafana's `GRID_CELL_HEIGHT` and `GRID_CELL_VMARGIN`.
CELL, GAP = 30.0, 8.0
#: Pixels of a panel that its title and its edges take.
HEADER, PADDING = 30.0, 8.0
#: Pixels left free below a body, so that no scroll bar appears where fonts are a little larger.
_SLACK = 6.0
#: Pixels of one line of a legend, and the share of a panel that a legend may take.
LEGEND_LINE, LEGEND_SHARE = 19.0, 0.4


@dataclass(frozen=True)
class Section:
    """Panels under one row; those before the first row have no title."""

    title: str
    panels: tuple[Panel, ...]
    collapsed: bool = False

    @property
    def top(self) -> int:
        """First line of the grid that it uses."""
        return min((panel.grid_pos.y for panel in self.panels), default=0)

    @property
    def lines(self) -> int:
        """Lines of the grid that it uses."""
        return max((panel.grid_pos.y + panel.grid_pos.h for panel in self.panels), default=0) - self.top


@dataclass(frozen=True)
class Box:
    """A rectangle, in pixels."""

    x: float
    y: float
    width: float
    height: float


def sections(dashboard: Dashboard) -> list[Section]:
    """Return the sections of a dashboard, their panels in reading order."""
    return [section for section in _sections(dashboard.panels) if section.panels or section.title]


def _sections(panels: Sequence[Panel]) -> Iterator[Section]:
    title, collapsed, current = "", False, list[Panel]()
    for panel in sorted(panels, key=_place):
        if panel.type != "row":
            current.append(panel)
            continue
        yield Section(title, tuple(current), collapsed)
        title, collapsed, current = panel.title, panel.collapsed, sorted(panel.panels, key=_place)
    yield Section(title, tuple(current), collapsed)


def _place(panel: Panel) -> tuple[int, int]:
    return panel.grid_pos.y, panel.grid_pos.x


def box_of(place: GridPos, width: float, *, top: int) -> Box:
    """Return where a panel stands in a section that is so many pixels wide and starts at line `top` of the grid."""
    column = (width + GAP) / COLUMNS
    return Box(
        place.x * column,
        (place.y - top) * (CELL + GAP),
        min(place.w, COLUMNS - place.x) * column - GAP,
        place.h * (CELL + GAP) - GAP,
    )


def body_of(box: Box) -> Canvas:
    """Return the room in a panel below its title."""
    return Canvas(max(box.width - 2 * PADDING, 40.0), max(box.height - HEADER - PADDING - _SLACK, 20.0))
