"""Our processes, and those of Prometheus and Alertmanager."""

from __future__ import annotations

from collections.abc import Sequence

from grafanalib.core import Panel

from app.domain import alerts
from app.domain.controls import Mode
from app.metrics import ACTIVE_MODE, BUILD_INFO, FALLBACK_ACTIVE, PROCESSES
from app.promql import max_by
from monitoring.foreign_metrics import CPU, FILES, FILES_MAX, MEMORY
from monitoring.panels.charts import state_timeline, time_series
from monitoring.panels.grid import Row
from monitoring.panels.lists import table
from monitoring.panels.scoped import greatest, level_now, per_second, ratio, series
from monitoring.panels.targets import over_time, rows_now
from monitoring.rows.names import QUEUE_OR_IN_PLACE
from monitoring.rows.ways import DIAGNOSTICS_API, MODE_API


def processes() -> Row:
    """Return the row."""
    return Row("Processes", [*_ours(), *_resources()])


def _ours() -> Sequence[Panel]:
    return (
        time_series(
            "Processes by role",
            "Processes that have shown lately that they live.",
            over_time(level_now(("role",), PROCESSES), "{{role}}"),
            unit="short",
            alerts=[alerts.NO_WORKERS, alerts.METRICS_ABSENT],
            links=[DIAGNOSTICS_API],
            width=8,
        ),
        state_timeline(
            "Where Phase 1 jobs run",
            "Mode that an operator has chosen, and whether a scheduler runs due jobs itself because Redis is away.",
            over_time(level_now((), ACTIVE_MODE, mode=Mode.SYNC), "mode"),
            over_time(greatest((), FALLBACK_ACTIVE), "scheduler"),
            names=QUEUE_OR_IN_PLACE,
            alerts=[alerts.SYNC_FALLBACK_ACTIVE],
            links=[MODE_API],
            width=8,
        ),
        table(
            "Versions that run",
            "Scraped processes by version; more than one while a deployment is under way.",
            rows_now(f"count by (environment, job, version) ({series(BUILD_INFO)})"),
            columns={"job": "Job", "version": "Version", "Value": "Processes"},
            unit="none",
            width=8,
            links=[DIAGNOSTICS_API],
        ),
    )


def _resources() -> Sequence[Panel]:
    by = ("job", "instance")
    legend = "{{job}} {{instance}}"
    return (
        time_series(
            "Memory of processes",
            "Resident memory of every scraped process that tells it.",
            over_time(greatest(by, MEMORY), legend),
            unit="bytes",
            width=8,
            links=[DIAGNOSTICS_API],
        ),
        time_series(
            "Processor time of processes",
            "Processors in use: 1 is one of them, all the time.",
            over_time(per_second(by, CPU), legend),
            unit="short",
            width=8,
            links=[DIAGNOSTICS_API],
        ),
        time_series(
            "Open files of processes",
            "Share of the files and connections that a process may have open.",
            over_time(max_by(("environment", *by), ratio(series(FILES), series(FILES_MAX))), legend),
            unit="percentunit",
            most=1,
            width=8,
            links=[DIAGNOSTICS_API],
        ),
    )
