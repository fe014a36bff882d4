"""What waits, who works, what becomes of jobs."""

from __future__ import annotations

from grafanalib.core import Dashboard

from app.domain.dashboards import Dashboard as Board
from monitoring.panels.board import board
from monitoring.rows.job_outcomes import job_outcomes
from monitoring.rows.losses import losses
from monitoring.rows.retries import retries
from monitoring.rows.waiting import waiting
from monitoring.rows.workers import workers


def queue_and_jobs() -> Dashboard:
    """Return the dashboard."""
    return board(
        Board.QUEUE_AND_JOBS,
        "Marketplace: queue and jobs",
        "What waits, who works, what becomes of jobs, and whether one is lost.",
        [waiting(), workers(), job_outcomes(), losses(), retries()],
    )
