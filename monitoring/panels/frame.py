"""What every panel has, whatever it draws: words, links, size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from app.domain.alerts import Alert
from app.event_only import EVENT_ONLY
from monitoring.panels.links import runbook
from monitoring.panels.targets import DATASOURCE


class Frame(TypedDict, total=False):
    """Options of every panel."""

    alerts: Sequence[Alert]
    """Alerts that this panel explains: it links to the runbook of each."""
    links: Sequence[dict[str, Any]]
    """Where to go for more."""
    event_only: str
    """Why the panel is empty while nothing has happened; only for panels that then are."""
    width: int
    """Columns of 24."""
    height: int
    """Rows of 30 pixels."""


def framed(title: str, description: str, frame: Frame, *, width: int, height: int) -> dict[str, Any]:
    """Return the arguments that every class of grafanalib takes; width and height are the usual ones of this kind.

    Raises:
        ValueError: There is no title or description.
    """
    if not title or not description:
        raise ValueError(f"a panel needs a title and a description: {title!r}")
    reason = frame.get("event_only", "")
    return {
        "title": title,
        "description": f"{description} {reason} {EVENT_ONLY}." if reason else description,
        "dataSource": DATASOURCE,
        "maxDataPoints": None,
        "links": [*map(runbook, frame.get("alerts", ())), *frame.get("links", ())],
        "gridPos": {"w": frame.get("width", width), "h": frame.get("height", height)},
    }
