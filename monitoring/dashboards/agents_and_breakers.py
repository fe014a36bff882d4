"""Agents, their circuits, and what stands in for them."""

from __future__ import annotations

from grafanalib.core import Dashboard

from app.domain.dashboards import Dashboard as Board
from monitoring.panels.board import board
from monitoring.rows.agent_calls import agent_calls, agent_limits
from monitoring.rows.circuits import circuits


def agents_and_breakers() -> Dashboard:
    """Return the dashboard."""
    return board(
        Board.AGENTS_AND_BREAKERS,
        "Marketplace: agents and breakers",
        "How each agent answers, how its circuit stands, and what stands in for it.",
        [circuits(), agent_calls(), agent_limits()],
    )
