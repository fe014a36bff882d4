"""Whether all is well, in a dozen figures."""

from __future__ import annotations

from collections.abc import Sequence

from grafanalib.core import Panel

from app.domain import alerts
from app.domain.breaker import CircuitState
from app.domain.objectives import DRAIN_SECONDS, JOB_SUCCESS, OLDEST_SECONDS
from app.metrics import (
    ACTIVE_MODE,
    BREAKER_STATE,
    DATABASE_UP,
    DEAD_LETTERS,
    JOB_RETRIES,
    JOBS_UNACCOUNTED,
    PROCESSES,
    QUEUE_OLDEST,
    REDIS_UP,
    STUCK_PLANS,
)
from app.recorded_series import DRAIN_TIME
from monitoring.foreign_metrics import FIRING
from monitoring.panels.colours import bad_from, good_from, uneasy_from
from monitoring.panels.figures import stat
from monitoring.panels.grid import Row
from monitoring.panels.scoped import greatest, grown, level_now, level_total, ratio, series
from monitoring.panels.targets import now, over_time
from monitoring.rows.names import UP_OR_DOWN
from monitoring.rows.ways import (
    AGENTS_BOARD,
    BREAKERS_API,
    DEAD_LETTERS_API,
    DIAGNOSTICS_API,
    MODE_API,
    OBJECTIVES_BOARD,
    PIPELINE_BOARD,
    QUEUE_BOARD,
    RUNTIME_BOARD,
)


def answer() -> Row:
    """Return the row."""
    return Row("The answer", [*_health(), *_stops()])


def _health() -> Sequence[Panel]:
    firing = series(FIRING, alertstate="firing", alertname=f"!={alerts.WATCHDOG.name}")
    ended = grown((), JOB_RETRIES, "_count")
    return (
        stat(
            "Alerts that fire",
            "How many alerts fire, the watchdog not counted. The table below names them.",
            over_time(f"count({firing}) or vector(0)", "firing"),
            unit="none",
            steps=bad_from(1),
            links=[PIPELINE_BOARD],
        ),
        stat(
            "Job success rate",
            f"Share of the jobs ended in the chosen time that completed. Promised: {JOB_SUCCESS.target:.0%}.",
            now(ratio(grown((), JOB_RETRIES, "_count", outcome="completed"), ended), "completed"),
            unit="percentunit",
            steps=good_from(JOB_SUCCESS.target),
            decimals=2,
            alerts=[alerts.JOB_SUCCESS_BURN_FAST, alerts.JOB_SUCCESS_BURN_SLOW],
            links=[OBJECTIVES_BOARD],
        ),
        stat(
            "Oldest claimable job",
            f"For how long the oldest job that a worker could take has waited. Above {OLDEST_SECONDS:g} s it is late.",
            over_time(level_now((), QUEUE_OLDEST), "oldest"),
            unit="s",
            steps=bad_from(OLDEST_SECONDS),
            alerts=[alerts.QUEUE_BACKED_UP],
            links=[QUEUE_BOARD],
        ),
        stat(
            "Time to drain",
            "Until the slower queue is empty at the present rates; infinite while it grows.",
            over_time(greatest((), DRAIN_TIME), "to drain"),
            unit="s",
            steps=bad_from(DRAIN_SECONDS),
            alerts=[alerts.QUEUE_DRAINS_SLOWLY],
            links=[QUEUE_BOARD],
        ),
        stat(
            "Stuck plans",
            "Plans that make no progress although they should.",
            over_time(level_total((), STUCK_PLANS), "stuck"),
            unit="none",
            steps=bad_from(1),
            alerts=[alerts.STUCK_PLANS],
            links=[QUEUE_BOARD, DIAGNOSTICS_API],
        ),
        stat(
            "Dead letters",
            "Jobs and messages that came to no good end and wait for a person.",
            over_time(level_total((), DEAD_LETTERS), "waiting"),
            unit="none",
            steps=uneasy_from(1),
            alerts=[alerts.DEAD_LETTERS_GROWING],
            links=[QUEUE_BOARD, DEAD_LETTERS_API],
        ),
    )


def _stops() -> Sequence[Panel]:
    return (
        stat(
            "Unaccounted jobs",
            "Losses found in the database: anything but 0 is a defect.",
            over_time(level_total((), JOBS_UNACCOUNTED), "lost"),
            unit="none",
            steps=bad_from(1),
            alerts=[alerts.JOBS_UNACCOUNTED],
            links=[QUEUE_BOARD, DIAGNOSTICS_API],
        ),
        stat(
            "Mode",
            "Who runs the jobs of approved plans: workers (queue), or the process that answers the approval (sync).",
            now(f"{level_now(('mode',), ACTIVE_MODE)} == 1", "{{mode}}"),
            unit="none",
            show="name",
            alerts=[alerts.SYNC_FALLBACK_ACTIVE],
            links=[RUNTIME_BOARD, MODE_API],
        ),
        stat(
            "Open circuits",
            "Agents that are not asked, because they failed too often; their last good answers stand in.",
            over_time(level_total((), BREAKER_STATE, state=CircuitState.OPEN), "open"),
            unit="none",
            steps=uneasy_from(1),
            alerts=[alerts.CIRCUIT_OPENED, alerts.ALL_CIRCUITS_OPEN],
            links=[AGENTS_BOARD, BREAKERS_API],
        ),
        stat(
            "Redis and database",
            "Whether they answer.",
            now(level_now((), REDIS_UP), "Redis"),
            now(level_now((), DATABASE_UP), "Database"),
            unit="none",
            names=UP_OR_DOWN,
            show="value_and_name",
            alerts=[alerts.REDIS_DOWN, alerts.DATABASE_DOWN],
            links=[RUNTIME_BOARD],
        ),
        stat(
            "Processes",
            "Processes that have shown lately that they live.",
            now(level_now(("role",), PROCESSES), "{{role}}"),
            unit="none",
            show="value_and_name",
            alerts=[alerts.NO_WORKERS, alerts.METRICS_ABSENT],
            links=[RUNTIME_BOARD],
            width=8,
        ),
    )
