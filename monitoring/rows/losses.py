"""Whether a job is lost, stuck or given up."""

from __future__ import annotations

from collections.abc import Sequence

from grafanalib.core import Panel

from app.domain import alerts
from app.metrics import (
    DEAD_LETTERS,
    DEAD_LETTERS_RESOLVED,
    DEAD_MESSAGES,
    JOBS_ACCOUNTED,
    JOBS_UNACCOUNTED,
    STUCK_PLANS,
    STUCK_PLANS_FOUND,
)
from monitoring.panels.charts import time_series
from monitoring.panels.colours import bad_from
from monitoring.panels.grid import Row
from monitoring.panels.scoped import WINDOW, grown, level_now, level_total
from monitoring.panels.targets import over_time
from monitoring.rows.ways import DEAD_LETTERS_API, DIAGNOSTICS_API


def losses() -> Row:
    """Return the row."""
    return Row("Stuck, lost and given up", [*_accounts(), *_letters()])


def _accounts() -> Sequence[Panel]:
    return (
        time_series(
            "Where the accepted jobs are",
            "Jobs accepted within 10 minutes, by where they are now; together they are all that were accepted.",
            over_time(level_total(("state",), JOBS_ACCOUNTED), "{{state}}"),
            unit="short",
            stacked=True,
            alerts=[alerts.JOBS_UNACCOUNTED],
        ),
        time_series(
            "Unaccounted jobs by kind of loss",
            "Losses found in the database; anything but 0 is a defect.",
            over_time(level_now(("loss",), JOBS_UNACCOUNTED), "{{loss}}"),
            unit="short",
            steps=bad_from(1),
            alerts=[alerts.JOBS_UNACCOUNTED],
            links=[DIAGNOSTICS_API],
        ),
        time_series(
            "Stuck plans by cause",
            "Plans that make no progress although they should; the diagnosis has their ids.",
            over_time(level_now(("cause",), STUCK_PLANS), "{{cause}}"),
            unit="short",
            steps=bad_from(1),
            alerts=[alerts.STUCK_PLANS],
            links=[DIAGNOSTICS_API],
        ),
        time_series(
            "Plans found stuck",
            "Plans that a scheduler found in the chosen step, by cause; many are mended before anybody counts them.",
            over_time(grown(("cause",), STUCK_PLANS_FOUND, window=WINDOW), "{{cause}}"),
            unit="short",
            alerts=[alerts.STUCK_PLANS],
        ),
    )


def _letters() -> Sequence[Panel]:
    return (
        time_series(
            "Dead letters that wait",
            "For a person, by class of the last error.",
            over_time(level_total(("error_class",), DEAD_LETTERS), "{{error_class}}"),
            unit="short",
            stacked=True,
            alerts=[alerts.DEAD_LETTERS_GROWING],
            links=[DEAD_LETTERS_API],
        ),
        time_series(
            "Dead letters decided on",
            "In the chosen step: retried or discarded by operators.",
            over_time(grown(("outcome",), DEAD_LETTERS_RESOLVED, window=WINDOW), "{{outcome}}"),
            unit="short",
            links=[DEAD_LETTERS_API],
        ),
        time_series(
            "Messages that led to no job",
            "In the chosen step, by reason; each one became a dead letter.",
            over_time(grown(("reason",), DEAD_MESSAGES, window=WINDOW), "{{reason}}"),
            unit="short",
            alerts=[alerts.DEAD_LETTERS_GROWING],
            links=[DEAD_LETTERS_API],
        ),
    )
