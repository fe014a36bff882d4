"""Objectives: what is promised, what is left, and how fast it goes."""

from __future__ import annotations

from collections.abc import Sequence

from grafanalib.core import Panel

from app.domain import alerts
from app.domain.objectives import AVAILABILITY, JOB_SUCCESS, OBJECTIVES, Objective
from app.domain.objectives import JOB_LATENCY as LATENCY_OBJECTIVE
from app.recorded_series import BUDGET_LEFT, ERROR_WINDOWS, SLO_EVENTS, SLO_TARGET, error_ratio
from monitoring.panels.charts import time_series
from monitoring.panels.colours import bad_from, good_from
from monitoring.panels.grid import Row
from monitoring.panels.lists import table
from monitoring.panels.scoped import greatest, ratio
from monitoring.panels.targets import over_time, rows_now
from monitoring.rows.ways import OVERVIEW_BOARD, QUEUE_BOARD

#: Alerts on the budget of each objective.
_ALERTS = {
    JOB_SUCCESS: (
        alerts.JOB_SUCCESS_BURN_FAST,
        alerts.JOB_SUCCESS_BURN_SLOW,
        alerts.JOB_SUCCESS_BURN_DAY,
        alerts.JOB_SUCCESS_BURN_THREE_DAYS,
    ),
    LATENCY_OBJECTIVE: (
        alerts.JOB_LATENCY_BURN_FAST,
        alerts.JOB_LATENCY_BURN_SLOW,
        alerts.JOB_LATENCY_BURN_DAY,
        alerts.JOB_LATENCY_BURN_THREE_DAYS,
    ),
    AVAILABILITY: (
        alerts.AVAILABILITY_BURN_FAST,
        alerts.AVAILABILITY_BURN_SLOW,
        alerts.AVAILABILITY_BURN_DAY,
        alerts.AVAILABILITY_BURN_THREE_DAYS,
    ),
}


def budgets() -> Row:
    """Return the row."""
    return Row("Objectives and budgets", [*_left(), *(_burn_rates(objective) for objective in OBJECTIVES)])


def _left() -> Sequence[Panel]:
    return (
        table(
            "Promises",
            "Share of good events that each objective promises.",
            rows_now(greatest(("slo",), SLO_TARGET)),
            columns={"slo": "Objective", "Value": "Promised"},
            unit="percentunit",
            width=8,
            links=[OVERVIEW_BOARD],
        ),
        time_series(
            "Budget left over time",
            "Share of the last day's error budget that is left; below 0 it is overspent.",
            over_time(greatest(("slo",), BUDGET_LEFT), "{{slo}}"),
            unit="percentunit",
            steps=good_from(0.0),
            least=None,
            alerts=[burning[0] for burning in _ALERTS.values()],
            width=8,
        ),
        time_series(
            "Events that count",
            "Per second, by objective: with few of them one bad event is a large share.",
            over_time(greatest(("slo",), SLO_EVENTS), "{{slo}}"),
            unit="ops",
            width=8,
            links=[QUEUE_BOARD],
        ),
    )


def _burn_rates(objective: Objective) -> Panel:
    allowed = f"(1 - {greatest((), SLO_TARGET, slo=objective.name)})"
    return time_series(
        f"Burn rate: {objective.title}",
        f"How fast the budget of {objective.budget:.1%} goes, by window: at 1 it lasts exactly as long as it should."
        " Windows longer than half of what Prometheus keeps have no line.",
        *(
            over_time(ratio(greatest((), error_ratio(window), slo=objective.name), allowed), window)
            for window in ERROR_WINDOWS
        ),
        unit="short",
        steps=bad_from(1),
        alerts=_ALERTS[objective],
        width=8,
    )
