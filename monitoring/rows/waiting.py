"""How much waits, for how long, and when it will be done."""

from __future__ import annotations

from collections.abc import Sequence

from grafanalib.core import Panel

from app.domain import alerts
from app.domain.objectives import DRAIN_SECONDS, OLDEST_SECONDS
from app.domain.objectives import QUEUE_DEPTH as DEPTH_LIMIT
from app.metrics import DEPTH_AT_ENQUEUE, QUEUE_ACTIVE, QUEUE_DELAYED, QUEUE_OLDEST, QUEUE_PAUSED, QUEUE_PENDING
from app.recorded_series import ARRIVALS, COMPLETIONS, DRAIN_TIME
from monitoring.panels.charts import heatmap, state_timeline, time_series
from monitoring.panels.colours import bad_from
from monitoring.panels.grid import Row
from monitoring.panels.scoped import WINDOW, greatest, grown, level_now, level_total
from monitoring.panels.targets import buckets, over_time
from monitoring.rows.names import PAUSED_OR_NOT
from monitoring.rows.ways import DIAGNOSTICS_API, JOBS_API, QUEUES_API


def waiting() -> Row:
    """Return the row."""
    return Row("What waits", [*_depth(), *_flow()])


def _depth() -> Sequence[Panel]:
    return (
        time_series(
            "Jobs that wait",
            f"Jobs that wait to be claimed, due or not. From {DEPTH_LIMIT} on the queue counts as backed up.",
            over_time(level_now(("queue",), QUEUE_PENDING), "{{queue}}"),
            unit="short",
            steps=bad_from(DEPTH_LIMIT),
            alerts=[alerts.QUEUE_BACKED_UP],
            links=[QUEUES_API, JOBS_API],
        ),
        time_series(
            "Oldest claimable job by queue",
            "For how long the oldest job that a worker could take has waited; one that waits for its retry is not"
            f" counted. From {OLDEST_SECONDS:g} s on it is late.",
            over_time(level_now(("queue",), QUEUE_OLDEST), "{{queue}}"),
            unit="s",
            steps=bad_from(OLDEST_SECONDS),
            alerts=[alerts.QUEUE_BACKED_UP, alerts.QUEUE_STALLED],
            links=[DIAGNOSTICS_API],
        ),
        heatmap(
            "Depth that a new job found",
            f"Jobs that waited when another one came: it shows peaks between two scrapes. {DEPTH_LIMIT} is an edge.",
            buckets(grown(("le",), DEPTH_AT_ENQUEUE, "_bucket", window=WINDOW)),
            unit="short",
            alerts=[alerts.QUEUE_BACKED_UP],
        ),
        time_series(
            "Retry wave",
            "Jobs not yet due that will be within 1, 5 and 30 s; each span holds the shorter ones.",
            over_time(level_total(("within",), QUEUE_DELAYED), "within {{within}}"),
            unit="short",
            links=[JOBS_API],
        ),
    )


def _flow() -> Sequence[Panel]:
    return (
        time_series(
            "Time to drain by queue",
            "Until each queue is empty at the present rates; infinite, and not drawn, while it grows.",
            over_time(greatest(("queue",), DRAIN_TIME), "{{queue}}"),
            unit="s",
            steps=bad_from(DRAIN_SECONDS),
            alerts=[alerts.QUEUE_DRAINS_SLOWLY],
        ),
        time_series(
            "Jobs that come and that end",
            "Per second. A queue grows while more come than end; a stalled one has work and ends none.",
            over_time(greatest(("queue",), ARRIVALS), "{{queue}} come"),
            over_time(greatest(("queue",), COMPLETIONS), "{{queue}} end"),
            unit="ops",
            alerts=[alerts.QUEUE_STALLED, alerts.QUEUE_DRAINS_SLOWLY],
        ),
        time_series(
            "Jobs that run",
            "Jobs that a worker holds, by queue.",
            over_time(level_now(("queue",), QUEUE_ACTIVE), "{{queue}}"),
            unit="short",
            links=[JOBS_API],
        ),
        state_timeline(
            "Paused queues",
            "Whether workers take jobs from each queue, or an operator has paused or drained it.",
            over_time(level_now(("queue",), QUEUE_PAUSED), "{{queue}}"),
            names=PAUSED_OR_NOT,
            alerts=[alerts.QUEUE_PAUSED],
            links=[QUEUES_API],
        ),
    )
