"""Redis and the database."""

from __future__ import annotations

from collections.abc import Sequence

from grafanalib.core import Panel

from app.domain import alerts
from app.domain.objectives import POOL_RATIO
from app.metrics import (
    DATABASE_UP,
    REDIS_CLIENTS,
    REDIS_COMMANDS,
    REDIS_CONNECTIONS,
    REDIS_CONNECTIONS_MAX,
    REDIS_DURATION,
    REDIS_MEMORY,
    REDIS_UP,
)
from app.promql import max_by
from monitoring.panels.charts import state_timeline, time_series
from monitoring.panels.colours import bad_from
from monitoring.panels.grid import Row
from monitoring.panels.latencies import percentiles
from monitoring.panels.scoped import level_now, per_second, ratio, series
from monitoring.panels.targets import over_time
from monitoring.rows.names import UP_OR_DOWN
from monitoring.rows.ways import READY_API


def stores() -> Row:
    """Return the row."""
    return Row("Redis and the database", [*_servers(), *_commands()])


def _servers() -> Sequence[Panel]:
    in_use = ratio(series(REDIS_CONNECTIONS), series(REDIS_CONNECTIONS_MAX))
    return (
        state_timeline(
            "Redis and database over time",
            "Whether they answered.",
            over_time(level_now((), REDIS_UP), "Redis"),
            over_time(level_now((), DATABASE_UP), "Database"),
            names=UP_OR_DOWN,
            alerts=[alerts.REDIS_DOWN, alerts.DATABASE_DOWN],
            links=[READY_API],
        ),
        time_series(
            "Connections to Redis in use",
            "Greatest share of its connections that a process has open, by client."
            f" From {POOL_RATIO:.0%} on commands will soon wait.",
            over_time(max_by(("environment", "client"), in_use), "{{client}}"),
            unit="percentunit",
            steps=bad_from(POOL_RATIO),
            most=1,
            alerts=[alerts.REDIS_POOL_EXHAUSTED],
        ),
        time_series(
            "Connections at the Redis server",
            "Open now, ours and others'.",
            over_time(level_now((), REDIS_CLIENTS), "connections"),
            unit="short",
            alerts=[alerts.REDIS_POOL_EXHAUSTED],
        ),
        time_series(
            "Memory of the Redis server",
            "Memory that it uses.",
            over_time(level_now((), REDIS_MEMORY), "memory"),
            unit="bytes",
            alerts=[alerts.REDIS_DOWN],
        ),
    )


def _commands() -> Sequence[Panel]:
    return (
        time_series(
            "Redis commands",
            "Commands sent per second, by client and outcome.",
            over_time(per_second(("client", "outcome"), REDIS_COMMANDS), "{{client}} {{outcome}}"),
            unit="ops",
            alerts=[alerts.REDIS_DOWN],
        ),
        time_series(
            "Latency of Redis commands",
            "By client; a blocking read of the patient one counts its wait.",
            *percentiles(REDIS_DURATION, ("client",)),
            unit="s",
            alerts=[alerts.REDIS_POOL_EXHAUSTED],
        ),
    )
