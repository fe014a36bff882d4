"""Where each panel stands: rows of 24 columns, filled from left to right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import attr
from grafanalib.core import Panel, RowPanel

#: Columns of Grafana's grid.
COLUMNS = 24


@dataclass(frozen=True)
class Row:
    """A heading with its panels; a collapsed one shows them when a reader opens it."""

    title: str
    panels: Sequence[Panel]
    collapsed: bool = False


def placed(rows: Iterable[Row]) -> list[Panel]:
    """Return the panels with position and id, both set by the order alone.

    Raises:
        ValueError: A panel is wider than the grid.
    """
    result: list[Panel] = []
    top, number = 0, 1
    for row in rows:
        inside, below = _filled(row.panels, top + 1, number + 1)
        heading = RowPanel(
            title=row.title,
            collapsed=row.collapsed,
            gridPos={"h": 1, "w": COLUMNS, "x": 0, "y": top},
            id=number,
            maxDataPoints=None,
            panels=inside if row.collapsed else [],
        )
        result += [heading, *([] if row.collapsed else inside)]
        top = top + 1 if row.collapsed else below
        number += 1 + len(inside)
    return result


def _filled(panels: Sequence[Panel], top: int, number: int) -> tuple[list[Panel], int]:
    """Return the panels in lines from `top` on, numbered from `number` on, and the first line below them."""
    placed_panels: list[Panel] = []
    left, line_height = 0, 0
    for index, panel in enumerate(panels):
        width, height = panel.gridPos["w"], panel.gridPos["h"]
        if width > COLUMNS:
            raise ValueError(f"{panel.title!r} is wider than the grid")
        if left + width > COLUMNS:
            top, left, line_height = top + line_height, 0, 0
        position = {"h": height, "w": width, "x": left, "y": top}
        placed_panels.append(attr.evolve(panel, gridPos=position, id=number + index))
        left, line_height = left + width, max(line_height, height)
    return placed_panels, top + line_height
