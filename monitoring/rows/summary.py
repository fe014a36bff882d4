"""Queues, jobs and agents in a few charts each."""

from __future__ import annotations

from collections.abc import Sequence

from grafanalib.core import Panel

from app.domain import alerts
from app.domain.jobs import JobKind, JobStatus
from app.domain.objectives import JOB_LATENCY_SECONDS, JOB_SUCCESS
from app.domain.objectives import QUEUE_DEPTH as DEPTH_LIMIT
from app.metrics import (
    JOB_DURATION,
    JOB_LATENCY,
    JOB_RETRIES,
    JOBS_ACCEPTED,
    JOBS_ACCOUNTED,
    JOBS_UNACCOUNTED,
    QUEUE_ACTIVE,
    QUEUE_COMPLETED,
    QUEUE_FAILED,
    QUEUE_PENDING,
    RETRIES_SCHEDULED,
)
from monitoring.panels.charts import state_timeline, time_series
from monitoring.panels.colours import bad_from, good_from
from monitoring.panels.figures import stat
from monitoring.panels.grid import Row
from monitoring.panels.latencies import percentiles
from monitoring.panels.scoped import circuit_states, level_now, level_total, mean_of, per_second, ratio
from monitoring.panels.targets import over_time
from monitoring.rows.agent_calls import error_rates
from monitoring.rows.names import CIRCUITS
from monitoring.rows.ways import AGENTS_BOARD, BREAKERS_API, OBJECTIVES_BOARD, QUEUE_BOARD, QUEUES_API


def queues_and_jobs() -> Row:
    """Return the row of what comes in and what becomes of it."""
    return Row("Queues and jobs", [*_queues(), *_jobs()])


def agents() -> Row:
    """Return the row of who is asked."""
    return Row("Agents", _agents())


def conservation() -> Row:
    """Return the row that shows whether a job is lost."""
    return Row("Where every job is", _conservation())


def _queues() -> Sequence[Panel]:
    pending, active = level_now(("queue",), QUEUE_PENDING), level_now(("queue",), QUEUE_ACTIVE)
    return (
        stat(
            "Queue status",
            "Jobs by what has become of them: they wait, run, completed, or failed for good.",
            over_time(level_total((), QUEUE_PENDING), JobStatus.PENDING),
            over_time(level_total((), QUEUE_ACTIVE), JobStatus.ACTIVE),
            over_time(level_total((), QUEUE_COMPLETED), JobStatus.COMPLETED),
            over_time(level_total((), QUEUE_FAILED), JobStatus.FAILED),
            unit="short",
            show="value_and_name",
            alerts=[alerts.QUEUE_STALLED],
            links=[QUEUE_BOARD, QUEUES_API],
            width=8,
            height=8,
        ),
        time_series(
            "Jobs that wait or run",
            f"Depth of each queue; {DEPTH_LIMIT} waiting jobs are where it counts as backed up.",
            over_time(pending, "{{queue}} pending"),
            over_time(active, "{{queue}} active"),
            unit="short",
            steps=bad_from(DEPTH_LIMIT),
            alerts=[alerts.QUEUE_BACKED_UP],
            links=[QUEUE_BOARD],
            width=8,
        ),
        time_series(
            "Retries",
            "Retries scheduled per second, by the error that made them necessary.",
            over_time(per_second(("error",), RETRIES_SCHEDULED), "{{error}}"),
            unit="ops",
            links=[QUEUE_BOARD],
            width=8,
        ),
    )


def _jobs() -> Sequence[Panel]:
    ended = per_second((), JOB_RETRIES, "_count")
    return (
        time_series(
            "Job success rate over time",
            f"Share of the jobs that ended which completed. Promised: {JOB_SUCCESS.target:.0%}.",
            over_time(ratio(per_second((), JOB_RETRIES, "_count", outcome="completed"), ended), "completed"),
            unit="percentunit",
            steps=good_from(JOB_SUCCESS.target),
            most=1,
            alerts=[alerts.JOB_SUCCESS_BURN_FAST, alerts.JOB_SUCCESS_BURN_SLOW],
            links=[OBJECTIVES_BOARD],
            width=8,
        ),
        time_series(
            "Average job duration",
            "Mean time from claim to end of the runs that completed.",
            over_time(mean_of(("kind",), JOB_DURATION, outcome="completed"), "{{kind}}"),
            unit="s",
            links=[QUEUE_BOARD],
            width=8,
        ),
        time_series(
            "P50, P95 and P99 latency",
            f"Time from approval to completed Phase 1 job. {JOB_LATENCY_SECONDS:g} s are promised for 99 of 100.",
            *percentiles(JOB_LATENCY, kind=JobKind.PHASE1),
            unit="s",
            steps=bad_from(JOB_LATENCY_SECONDS),
            alerts=[alerts.JOB_LATENCY_BURN_FAST, alerts.JOB_LATENCY_BURN_SLOW],
            links=[OBJECTIVES_BOARD],
            width=8,
        ),
    )


def _agents() -> Sequence[Panel]:
    return (
        error_rates("Error rate per agent", [AGENTS_BOARD]),
        state_timeline(
            "Circuit breaker state per agent",
            "One lane per agent: calls pass (closed), a few try (half open), none pass (open).",
            over_time(circuit_states(), "{{agent}}"),
            names=CIRCUITS,
            alerts=[alerts.CIRCUIT_OPENED, alerts.CIRCUIT_FLAPPING],
            links=[AGENTS_BOARD, BREAKERS_API],
        ),
    )


def _conservation() -> Sequence[Panel]:
    return (
        time_series(
            "Accepted, accounted and unaccounted jobs",
            "Jobs accepted within 10 minutes, the same jobs where they are now, and losses. The first two lines cover"
            " each other, the third is 0.",
            over_time(level_total((), JOBS_ACCEPTED), "accepted"),
            over_time(level_total((), JOBS_ACCOUNTED), "accounted"),
            over_time(level_total((), JOBS_UNACCOUNTED), "unaccounted"),
            unit="short",
            alerts=[alerts.JOBS_UNACCOUNTED],
            links=[QUEUE_BOARD],
            width=24,
        ),
    )
