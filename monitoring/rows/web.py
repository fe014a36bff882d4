"""The API and the webhooks."""

from __future__ import annotations

from app.domain import alerts
from app.domain.objectives import AVAILABILITY
from app.metrics import DELIVERIES, ERRORS, HTTP_DURATION
from monitoring.panels.charts import time_series
from monitoring.panels.colours import bad_from
from monitoring.panels.grid import Row
from monitoring.panels.latencies import percentiles
from monitoring.panels.scoped import WINDOW, grown, per_second, quantile_of, ratio
from monitoring.panels.targets import over_time
from monitoring.rows.ways import READY_API, WEBHOOKS_API


def web() -> Row:
    """Return the row."""
    failed = per_second((), HTTP_DURATION, "_count", status="5xx")
    return Row(
        "API and webhooks",
        (
            time_series(
                "Requests by status",
                "Per second.",
                over_time(per_second(("status",), HTTP_DURATION, "_count"), "{{status}}"),
                unit="reqps",
                stacked=True,
                alerts=[alerts.AVAILABILITY_BURN_FAST],
            ),
            time_series(
                "Requests that failed by our fault",
                f"Share answered with 5xx; {AVAILABILITY.budget:.1%} are allowed.",
                over_time(ratio(failed, per_second((), HTTP_DURATION, "_count")), "5xx"),
                unit="percentunit",
                steps=bad_from(AVAILABILITY.budget),
                alerts=[alerts.AVAILABILITY_BURN_FAST, alerts.AVAILABILITY_BURN_SLOW],
            ),
            time_series(
                "Latency of the API",
                "Time that a request took.",
                *percentiles(HTTP_DURATION),
                unit="s",
                links=[READY_API],
            ),
            time_series(
                "P95 latency by method",
                "Time within which 95 of 100 requests were answered.",
                over_time(quantile_of(0.95, ("method",), HTTP_DURATION), "{{method}}", exemplars=True),
                unit="s",
                links=[READY_API],
            ),
            time_series(
                "Webhook deliveries",
                "Attempts per second to deliver an event to a subscriber, by outcome.",
                over_time(per_second(("outcome",), DELIVERIES), "{{outcome}}"),
                unit="ops",
                links=[WEBHOOKS_API],
            ),
            time_series(
                "Unexpected errors",
                "Exceptions in the chosen step that nobody expected, by place; the log has each with its traceback.",
                over_time(grown(("place",), ERRORS, window=WINDOW), "{{place}}"),
                unit="short",
                steps=bad_from(1),
                alerts=[alerts.UNEXPECTED_ERRORS],
            ),
        ),
    )
