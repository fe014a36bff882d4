"""What is wrong now, and what has gone wrong lately."""

from __future__ import annotations

from collections.abc import Sequence

from grafanalib.core import Panel

from app.domain import alerts
from app.metrics import JOBS_FAILED
from app.recorded_series import BUDGET_LEFT
from monitoring.foreign_metrics import FIRING
from monitoring.panels.colours import good_from
from monitoring.panels.figures import gauge
from monitoring.panels.grid import Row
from monitoring.panels.lists import table
from monitoring.panels.scoped import greatest, grown, series
from monitoring.panels.targets import now, rows_now
from monitoring.rows.ways import DEAD_LETTERS_API, OBJECTIVES_BOARD, PIPELINE_BOARD, QUEUE_BOARD, RUNBOOK_OF_ALERT


def trouble() -> Row:
    """Return the row."""
    return Row("What is wrong", [*_wrong(), _budget()])


def _wrong() -> Sequence[Panel]:
    failures = grown(("kind", "error_class", "plan_size"), JOBS_FAILED)
    return (
        table(
            "Firing alerts",
            "Each alert that fires, with its runbook behind its name.",
            rows_now(series(FIRING, alertstate="firing", alertname=f"!={alerts.WATCHDOG.name}")),
            columns={"alertname": "Alert", "severity": "Severity", "type": "Type"},
            unit="none",
            cell_links={"Alert": RUNBOOK_OF_ALERT},
            event_only="There are rows only while an alert fires.",
            links=[PIPELINE_BOARD],
            width=8,
        ),
        table(
            "Recent failures",
            "Jobs that failed for good in the chosen time, by kind, class of the last error and size of the plan.",
            rows_now(f"round({failures}) > 0"),
            columns={"Value": "Jobs", "kind": "Kind", "error_class": "Error class", "plan_size": "Plan size"},
            unit="none",
            event_only="There are rows only when a job has failed for good.",
            links=[DEAD_LETTERS_API, QUEUE_BOARD],
            width=8,
        ),
    )


def _budget() -> Panel:
    return gauge(
        "Error budget left",
        "Share of the last day's error budget that is left, for each objective; below 0 it is overspent.",
        now(greatest(("slo",), BUDGET_LEFT), "{{slo}}"),
        unit="percentunit",
        steps=good_from(0.5, poor_from=0.0),
        least=-1,
        most=1,
        links=[OBJECTIVES_BOARD],
        width=8,
        height=8,
    )
