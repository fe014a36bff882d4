"""What the pipeline stands on: Redis, database, API, processes."""

from __future__ import annotations

from grafanalib.core import Dashboard

from app.domain.dashboards import Dashboard as Board
from monitoring.panels.board import board
from monitoring.rows.processes import processes
from monitoring.rows.stores import stores
from monitoring.rows.web import web


def redis_and_runtime() -> Dashboard:
    """Return the dashboard."""
    return board(
        Board.REDIS_AND_RUNTIME,
        "Marketplace: Redis and runtime",
        "What the pipeline stands on: Redis, the database, the API and its processes.",
        [stores(), web(), processes()],
    )
