"""How often jobs are tried again, why, and whether it helps."""

from __future__ import annotations

from collections.abc import Sequence

from grafanalib.core import Panel

from app.metrics import JOB_RETRIES, RETRIES_SCHEDULED, RETRY_DELAY
from app.promql import edge
from monitoring.panels.charts import heatmap, time_series
from monitoring.panels.grid import Row
from monitoring.panels.scoped import WINDOW, grown, per_second
from monitoring.panels.targets import buckets, over_time
from monitoring.rows.ways import AGENTS_BOARD, JOBS_API


def retries() -> Row:
    """Return the row."""
    return Row("Retries", _retries(), collapsed=True)


def _retries() -> Sequence[Panel]:
    completed = grown(("kind",), JOB_RETRIES, "_count", window=WINDOW, outcome="completed")
    at_once = grown(("kind",), JOB_RETRIES, "_bucket", window=WINDOW, outcome="completed", le=edge(JOB_RETRIES, 0))
    return (
        time_series(
            "Retries by error",
            "Retries scheduled per second, by kind of job and by the code of the error that made them necessary.",
            over_time(per_second(("kind", "error"), RETRIES_SCHEDULED), "{{kind}} {{error}}"),
            unit="ops",
            links=[AGENTS_BOARD],
        ),
        time_series(
            "Jobs saved by a retry",
            "Jobs completed in the chosen step that had failed at first, by kind.",
            over_time(f"{completed} - {at_once}", "{{kind}}"),
            unit="short",
            links=[JOBS_API],
        ),
        heatmap(
            "Retries that a job had made when it ended",
            "Jobs ended, by the number of their retries.",
            buckets(grown(("le",), JOB_RETRIES, "_bucket", window=WINDOW)),
            unit="short",
            links=[JOBS_API],
        ),
        heatmap(
            "Pauses before retries",
            "1, 5 and 30 s by rule, or what an agent asked for.",
            buckets(grown(("le",), RETRY_DELAY, "_bucket", window=WINDOW)),
            unit="s",
            links=[AGENTS_BOARD],
        ),
    )
