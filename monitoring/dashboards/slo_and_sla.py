"""What is promised and what was kept."""

from __future__ import annotations

from grafanalib.core import Dashboard

from app.domain.dashboards import Dashboard as Board
from monitoring.panels.board import board
from monitoring.rows.agreements import agreements
from monitoring.rows.budgets import budgets


def slo_and_sla() -> Dashboard:
    """Return the dashboard."""
    return board(
        Board.SLO_AND_SLA,
        "Marketplace: SLO and SLA",
        "What is promised, what was kept, and how fast the budget for errors goes.",
        [budgets(), agreements()],
        start="now-24h",
    )
