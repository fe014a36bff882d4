"""Whether Prometheus evaluates the rules, and whether what they find is passed on."""

from __future__ import annotations

from collections.abc import Sequence

from grafanalib.core import Panel

from app.domain import alerts
from monitoring.foreign_metrics import (
    ALERTS_DROPPED,
    ALERTS_ERRORS,
    ALERTS_HELD,
    ALERTS_QUEUED,
    ALERTS_SENT,
    NOTIFICATIONS,
    NOTIFICATIONS_FAILED,
    RULE_DURATION,
    RULE_EVALUATED,
    RULE_FAILURES,
)
from monitoring.panels.charts import time_series
from monitoring.panels.colours import bad_from
from monitoring.panels.grid import Row
from monitoring.panels.scoped import WINDOW, greatest, grown, named_groups, per_second
from monitoring.panels.targets import over_time


def rule_health() -> Row:
    """Return the row."""
    return Row("Rules and notifications", [*_rules(), *_notifications()])


def _rules() -> Sequence[Panel]:
    evaluated = named_groups(greatest(("rule_group",), RULE_EVALUATED))
    return (
        time_series(
            "Rules that could not be evaluated",
            "In the chosen step, by group; anything but 0 blinds an alert or a dashboard.",
            over_time(named_groups(grown(("rule_group",), RULE_FAILURES, window=WINDOW)), "{{group}}"),
            unit="short",
            steps=bad_from(1),
            alerts=[alerts.METRICS_ABSENT],
            width=8,
        ),
        time_series(
            "Since the last evaluation",
            "Age of what each group of rules says.",
            over_time(f"time() - {evaluated}", "{{group}}"),
            unit="s",
            width=8,
            alerts=[alerts.WATCHDOG],
        ),
        time_series(
            "Time to evaluate",
            "Time that the last evaluation of each group took.",
            over_time(named_groups(greatest(("rule_group",), RULE_DURATION)), "{{group}}"),
            unit="s",
            width=8,
            alerts=[alerts.WATCHDOG],
        ),
    )


def _notifications() -> Sequence[Panel]:
    return (
        time_series(
            "From Prometheus to Alertmanager",
            "Alerts per second that were sent, were not taken, or were given up.",
            over_time(per_second((), ALERTS_SENT), "sent"),
            over_time(per_second((), ALERTS_ERRORS), "not taken"),
            over_time(per_second((), ALERTS_DROPPED), "given up"),
            unit="ops",
            width=6,
            alerts=[alerts.WATCHDOG],
        ),
        time_series(
            "Alerts that wait to be sent",
            "Length of Prometheus' own queue.",
            over_time(greatest((), ALERTS_QUEUED), "waiting"),
            unit="short",
            width=6,
            alerts=[alerts.WATCHDOG],
        ),
        time_series(
            "Alerts that Alertmanager holds",
            "By state: active, or suppressed by a silence or an inhibition.",
            over_time(greatest(("state",), ALERTS_HELD), "{{state}}"),
            unit="short",
            width=6,
            alerts=[alerts.WATCHDOG],
        ),
        time_series(
            "From Alertmanager to receivers",
            "Notifications per second, to receivers of every kind: tried, and failed.",
            over_time(per_second((), NOTIFICATIONS), "tried"),
            over_time(per_second((), NOTIFICATIONS_FAILED), "failed"),
            unit="ops",
            width=6,
            alerts=[alerts.WATCHDOG],
        ),
    )
