"""Whether an alert would arrive."""

from __future__ import annotations

from grafanalib.core import Dashboard

from app.domain.dashboards import Dashboard as Board
from monitoring.panels.board import board
from monitoring.rows.firing import firing
from monitoring.rows.relay import notices, relay
from monitoring.rows.rule_health import rule_health
from monitoring.rows.scrapes import scrapes


def alert_pipeline() -> Dashboard:
    """Return the dashboard."""
    return board(
        Board.ALERT_PIPELINE,
        "Marketplace: alert pipeline",
        "Which alerts fire, and whether one would arrive: relay, notices, rules, notifications, scrapes.",
        [firing(), relay(), notices(), rule_health(), scrapes()],
    )
