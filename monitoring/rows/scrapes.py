"""Whether this page can be trusted: who was scraped, when, and how long it took."""

from __future__ import annotations

from app.domain import alerts
from monitoring.foreign_metrics import SCRAPE_DURATION, SCRAPE_SAMPLES, UP
from monitoring.panels.charts import time_series
from monitoring.panels.colours import good_from
from monitoring.panels.grid import Row
from monitoring.panels.lists import table
from monitoring.panels.scoped import greatest, series
from monitoring.panels.targets import over_time, rows_now


def scrapes() -> Row:
    """Return the row."""
    return Row(
        "Scrapes",
        (
            table(
                "Targets",
                "What Prometheus scrapes, and whether the last scrape worked.",
                rows_now(series(UP)),
                columns={"job": "Job", "instance": "Instance", "Value": "Up"},
                unit="none",
                steps=good_from(1),
                alerts=[alerts.TARGET_DOWN],
            ),
            time_series(
                "Age of the newest sample",
                "Of each target; every figure of that target is at least as old.",
                over_time(f"time() - timestamp({series(UP)})", "{{job}} {{instance}}"),
                unit="s",
                alerts=[alerts.TARGET_DOWN, alerts.METRICS_ABSENT],
            ),
            time_series(
                "Time to scrape",
                "Time that the last scrape of each target took.",
                over_time(greatest(("job", "instance"), SCRAPE_DURATION), "{{job}} {{instance}}"),
                unit="s",
                alerts=[alerts.TARGET_DOWN],
            ),
            time_series(
                "Samples per scrape",
                "How much each target tells; a sudden fall means that series are gone.",
                over_time(greatest(("job", "instance"), SCRAPE_SAMPLES), "{{job}} {{instance}}"),
                unit="short",
                alerts=[alerts.METRICS_ABSENT],
            ),
        ),
    )
