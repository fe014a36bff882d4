"""Which alerts fire, and whether the path that tells of them is alive."""

from __future__ import annotations

from app.domain import alerts
from monitoring.foreign_metrics import FIRING
from monitoring.panels.colours import BAD, GOOD
from monitoring.panels.figures import stat
from monitoring.panels.grid import Row
from monitoring.panels.lists import alert_list, table
from monitoring.panels.scoped import series
from monitoring.panels.targets import over_time, rows_now
from monitoring.rows.ways import OVERVIEW_BOARD, RUNBOOK_OF_ALERT


def firing() -> Row:
    """Return the row."""
    watchdog = series(FIRING, alertname=alerts.WATCHDOG.name, alertstate="firing")
    return Row(
        "Alerts",
        (
            stat(
                "Watchdog",
                "An alert that always fires: while it is silent, no other alert would arrive either.",
                over_time(f"count({watchdog}) or vector(0)", "watchdog"),
                unit="none",
                names={0.0: ("silent", BAD), 1.0: ("alive", GOOD)},
                alerts=[alerts.WATCHDOG],
                height=8,
            ),
            table(
                "Alerts that fire or are about to",
                "Each alert with its state, and its runbook behind its name.",
                rows_now(series(FIRING, alertname=f"!={alerts.WATCHDOG.name}")),
                columns={"alertname": "Alert", "alertstate": "State", "severity": "Severity", "type": "Type"},
                unit="none",
                cell_links={"Alert": RUNBOOK_OF_ALERT},
                event_only="There are rows only while a condition is met.",
                width=10,
                links=[OVERVIEW_BOARD],
            ),
            alert_list(
                "Alerts by Grafana",
                "The same alerts, as Grafana reads them from the rules of all its data sources.",
                width=10,
                links=[OVERVIEW_BOARD],
            ),
        ),
    )
