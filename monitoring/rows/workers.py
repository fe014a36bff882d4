"""Who works, how busy they are, and what became of those who died."""

from __future__ import annotations

from collections.abc import Sequence

from grafanalib.core import Panel

from app.domain import alerts
from app.domain.objectives import BUSY_RATIO
from app.metrics import CLOCK_JUMPS, HINTS_SENT, JOB_RUNS, LEASES_REAPED, WORKER_THREADS
from app.recorded_series import BUSY_THREADS
from monitoring.panels.charts import time_series
from monitoring.panels.colours import bad_from
from monitoring.panels.grid import Row
from monitoring.panels.scoped import WINDOW, greatest, grown, per_second, total
from monitoring.panels.targets import over_time
from monitoring.rows.ways import DIAGNOSTICS_API, MODE_API


def workers() -> Row:
    """Return the row."""
    return Row("Workers", [*_at_work(), *_hindered()])


def _at_work() -> Sequence[Panel]:
    return (
        time_series(
            "Worker utilisation",
            f"Share of the workers' threads in use, by kind of job. From {BUSY_RATIO:.0%} on more workers are needed.",
            over_time(greatest(("kind",), BUSY_THREADS), "{{kind}}"),
            unit="percentunit",
            steps=bad_from(BUSY_RATIO),
            most=1,
            alerts=[alerts.WORKERS_SATURATED],
        ),
        time_series(
            "Worker threads",
            "Threads that run jobs, of all processes together; those of quarantine workers take either kind.",
            over_time(total(("role", "kind"), WORKER_THREADS), "{{role}}, {{kind}}"),
            unit="short",
            alerts=[alerts.NO_WORKERS, alerts.WORKERS_SATURATED],
        ),
        time_series(
            "Attempts by the way they were made",
            "Attempts begun per second: from the queue, in place by the API, or by the scheduler in its stead.",
            over_time(per_second(("via",), JOB_RUNS), "{{via}}"),
            unit="ops",
            stacked=True,
            alerts=[alerts.SYNC_FALLBACK_ACTIVE],
            links=[MODE_API],
        ),
    )


def _hindered() -> Sequence[Panel]:
    return (
        time_series(
            "Jobs taken back from dead or frozen runs",
            "Per second, by what had become of the run.",
            over_time(per_second(("cause",), LEASES_REAPED), "{{cause}}"),
            unit="ops",
            links=[DIAGNOSTICS_API],
        ),
        time_series(
            "Hints to workers",
            "Hints sent to Redis per second, by sender and outcome. A job whose hint was lost is found by the sweeper.",
            over_time(per_second(("sender", "outcome"), HINTS_SENT), "{{sender}} {{outcome}}"),
            unit="ops",
            alerts=[alerts.REDIS_DOWN],
        ),
        time_series(
            "Clock jumps",
            "Times in the chosen step that the database's clock was found to have been set.",
            over_time(grown(("direction",), CLOCK_JUMPS, window=WINDOW), "{{direction}}"),
            unit="short",
            links=[DIAGNOSTICS_API],
        ),
    )
