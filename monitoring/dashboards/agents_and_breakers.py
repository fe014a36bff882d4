"""Agents, their circuits, and what stands in for them."""

from __future__ import annotations

from grafanalib.core import Dashboard

from monitoring.panels.board import board
from monitoring.panels.links import Board
from monitoring.rows.agent_calls import agent_calls, agent_limits
from monitoring.rows.circuits import circuits


def agents_and_breakers() -> Dashboard:
    """Return the dashboard."""
    return board(
        Board.AGENTS,
        "Marketplace: agents and breakers",
        "How each agent answers, how its circuit stands, and what stands in for it.",
        [circuits(), agent_calls(), agent_limits()],
    )
