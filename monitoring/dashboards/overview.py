"""The answer within 20 seconds: is it healthy, what is wrong, where to look next."""

from __future__ import annotations

from grafanalib.core import Dashboard

from app.domain.dashboards import Dashboard as Board
from monitoring.panels.board import board
from monitoring.rows.answer import answer
from monitoring.rows.summary import agents, conservation, queues_and_jobs
from monitoring.rows.trouble import trouble


def overview() -> Dashboard:
    """Return the dashboard."""
    return board(
        Board.OVERVIEW,
        "Marketplace: overview",
        "Is it healthy, what is wrong, and where to look next.",
        [answer(), trouble(), queues_and_jobs(), agents(), conservation()],
    )
