"""A dashboard whose panels are drawn: what page and picture are made of."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.errors import InvalidInputError
from monitoring.rendering.layout import Box, body_of, box_of
from monitoring.rendering.panel_data import PanelData
from monitoring.rendering.panels.kinds import DrawnPanel, draw_panel
from monitoring.rendering.reading import ReadDashboard, ReadSection


@dataclass(frozen=True)
class PlacedPanel:
    """One panel, where it stands in its section, and its body."""

    data: PanelData
    box: Box
    body: DrawnPanel


@dataclass(frozen=True)
class PlacedSection:
    """A section with its panels."""

    title: str
    collapsed: bool
    top: int
    height: float
    panels: tuple[PlacedPanel, ...]


@dataclass(frozen=True)
class DrawnDashboard:
    """All sections of a dashboard."""

    read: ReadDashboard
    sections: tuple[PlacedSection, ...]

    @property
    def warnings(self) -> list[str]:
        """What could not be drawn, each with its place."""
        return [
            f"{self.read.name}: panel {panel.data.title!r}: {warning}"
            for section in self.sections
            for panel in section.panels
            for warning in panel.body.warnings
        ]


def draw(read: ReadDashboard, *, width: float, pixels_per_point: float = 1.0) -> DrawnDashboard:
    """Return the panels of a dashboard on a page so many pixels wide.

    Raises:
        InvalidInputError: A panel has an option that cannot be used; the text names dashboard, panel and field.
    """
    return DrawnDashboard(read, tuple(_section(section, read, width, pixels_per_point) for section in read.sections))


def _section(section: ReadSection, read: ReadDashboard, width: float, pixels_per_point: float) -> PlacedSection:
    lines = section.section.lines
    return PlacedSection(
        read.variables.in_text(section.section.title),
        section.section.collapsed,
        section.section.top,
        box_height(lines),
        tuple(_panel(panel, section, read, width, pixels_per_point) for panel in section.panels),
    )


def box_height(lines: int) -> float:
    """Return the pixels of so many lines of the grid."""
    return Box(0, 0, 0, lines * 38.0 - 8.0).height if lines else 0.0


def _panel(
    data: PanelData, section: ReadSection, read: ReadDashboard, width: float, pixels_per_point: float
) -> PlacedPanel:
    box = box_of(data.panel.grid_pos, width, top=section.section.top)
    canvas = body_of(box)
    try:
        body = draw_panel(data, canvas, read.events, pixels_per_point=pixels_per_point)
    except InvalidInputError as error:
        raise InvalidInputError(f"{read.name}: {error.field}", error.message) from None
    return PlacedPanel(data, box, body)
