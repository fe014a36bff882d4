"""What the relay is told, what it makes of that, and whether Slack takes it."""

from __future__ import annotations

from collections.abc import Sequence

from grafanalib.core import Panel

from app.domain import alerts
from app.domain.objectives import MESSAGE_SECONDS, MESSAGES_WAITING, NOTICE_SECONDS
from app.metrics import (
    NOTICES,
    NOTICES_OLDEST,
    NOTICES_WAITING,
    RELAY_CALLS,
    RELAY_COMMIT,
    RELAY_DELIVERY,
    RELAY_MESSAGES,
    RELAY_OLDEST,
    RELAY_OPEN_ISSUES,
    RELAY_REFUSED,
    RELAY_SIGNALS,
    RELAY_SLACK_UP,
    RELAY_SUPPRESSED,
    RELAY_WAITING,
    RELAY_WATCHDOG_AGE,
)
from monitoring.panels.charts import time_series
from monitoring.panels.colours import BAD, GOOD, bad_from
from monitoring.panels.figures import stat
from monitoring.panels.grid import Row
from monitoring.panels.latencies import percentiles
from monitoring.panels.scoped import greatest, grown, level_now, per_second, series
from monitoring.panels.targets import over_time


def relay() -> Row:
    """Return the row."""
    return Row("Relay", [*_told(), *_sent()])


def notices() -> Row:
    """Return the row."""
    return Row(
        "Notices of the pipeline",
        (
            time_series(
                "Attempts to deliver notices",
                "Per second, by outcome. Refused: a person has to mend something; expired: told to nobody.",
                over_time(per_second(("outcome",), NOTICES), "{{outcome}}"),
                unit="ops",
                alerts=[alerts.RELAY_DEGRADED],
                width=8,
            ),
            time_series(
                "Notices that the relay does not have",
                "What the pipeline has to tell, and what the relay has not taken yet.",
                over_time(level_now((), NOTICES_WAITING), "waiting"),
                unit="short",
                alerts=[alerts.RELAY_DEGRADED],
                width=8,
            ),
            time_series(
                "Age of the oldest such notice",
                "Mostly a notice is with the relay within a second.",
                over_time(level_now((), NOTICES_OLDEST), "oldest"),
                unit="s",
                steps=bad_from(NOTICE_SECONDS),
                alerts=[alerts.RELAY_DEGRADED],
                width=8,
            ),
        ),
    )


def _told() -> Sequence[Panel]:
    return (
        stat(
            "Slack takes messages",
            "As the last calls to every channel ended. Away: what the relay has to tell waits, and is in its log.",
            over_time(f"min by (environment) ({series(RELAY_SLACK_UP)})", "slack"),
            unit="none",
            names={0.0: ("away", BAD), 1.0: ("yes", GOOD)},
            alerts=[alerts.RELAY_DEGRADED],
            height=8,
        ),
        time_series(
            "Since Watchdog came last",
            "The relay says that monitoring is blind when it has not come for some minutes.",
            over_time(greatest((), RELAY_WATCHDOG_AGE), "age"),
            unit="s",
            alerts=[alerts.MONITORING_BLIND, alerts.WATCHDOG],
            width=10,
        ),
        time_series(
            "Signals in",
            "Alerts and notices per second, by the way they came, and what they were.",
            over_time(per_second(("path", "outcome"), RELAY_SIGNALS), "{{path}} {{outcome}}"),
            unit="ops",
            alerts=[alerts.WATCHDOG],
            width=10,
        ),
        time_series(
            "Requests that the relay refused",
            "In the chosen step, by reason; unavailable: it cannot write to its file.",
            over_time(grown(("reason",), RELAY_REFUSED), "{{reason}}"),
            unit="short",
            alerts=[alerts.RELAY_DEGRADED],
            width=8,
        ),
        time_series(
            "Suppressed",
            "Per second, by type: what came again within the window, and is counted in a later message.",
            over_time(per_second(("type",), RELAY_SUPPRESSED), "{{type}}"),
            unit="ops",
            alerts=[alerts.RELAY_BACKLOG],
            width=8,
        ),
        time_series(
            "Open issues",
            "Issues that go on, by severity.",
            over_time(greatest(("severity",), RELAY_OPEN_ISSUES), "{{severity}}"),
            unit="short",
            alerts=[alerts.RELAY_BACKLOG],
            width=8,
        ),
        time_series(
            "Time to write down what was told",
            "From a request's signals to their commit.",
            *percentiles(RELAY_COMMIT),
            unit="s",
            alerts=[alerts.RELAY_DEGRADED],
        ),
    )


def _sent() -> Sequence[Panel]:
    return (
        time_series(
            "Messages",
            "Per second, by kind and by how the relay was done with them.",
            over_time(per_second(("kind", "outcome"), RELAY_MESSAGES), "{{kind}} {{outcome}}"),
            unit="ops",
            alerts=[alerts.RELAY_BACKLOG],
        ),
        time_series(
            "Calls to Slack",
            "Per second, by outcome. Misconfigured: a person must mend a setting.",
            over_time(per_second(("outcome",), RELAY_CALLS), "{{outcome}}"),
            unit="ops",
            alerts=[alerts.RELAY_DEGRADED],
            width=8,
        ),
        time_series(
            "Messages that wait for Slack",
            "A digest tells of many at once.",
            over_time(greatest((), RELAY_WAITING), "waiting"),
            unit="short",
            steps=bad_from(MESSAGES_WAITING),
            alerts=[alerts.RELAY_BACKLOG],
            width=8,
        ),
        time_series(
            "Age of the oldest waiting message",
            "What is told now happened so long ago.",
            over_time(greatest((), RELAY_OLDEST), "oldest"),
            unit="s",
            steps=bad_from(MESSAGE_SECONDS),
            alerts=[alerts.RELAY_BACKLOG],
            width=8,
        ),
        time_series(
            "From a signal to Slack",
            "From when the relay accepted what a message tells of until Slack had the message.",
            *percentiles(RELAY_DELIVERY),
            unit="s",
            alerts=[alerts.RELAY_BACKLOG],
            width=24,
        ),
    )
