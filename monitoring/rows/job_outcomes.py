"""What becomes of jobs, how long they take, and which of them fail."""

from __future__ import annotations

from collections.abc import Sequence

from grafanalib.core import Panel

from app.domain import alerts
from app.domain.objectives import JOB_LATENCY_SECONDS, JOB_SUCCESS
from app.metrics import (
    JOB_DURATION,
    JOB_LATENCY,
    JOB_RETRIES,
    JOBS_ENQUEUED,
    JOBS_FAILED,
    JOBS_POSTPONED,
    TASKS_CREATED,
)
from monitoring.panels.charts import time_series
from monitoring.panels.colours import bad_from
from monitoring.panels.grid import Row
from monitoring.panels.latencies import percentiles
from monitoring.panels.scoped import per_second
from monitoring.panels.targets import over_time
from monitoring.rows.ways import AGENTS_BOARD, DEAD_LETTERS_API, JOBS_API, TASKS_API


def job_outcomes() -> Row:
    """Return the row."""
    return Row("Jobs", [*_outcomes(), *_failures()])


def _outcomes() -> Sequence[Panel]:
    return (
        time_series(
            "Jobs created and ended",
            "Per second, by kind: created, completed, failed for good.",
            over_time(per_second(("kind",), JOBS_ENQUEUED), "{{kind}} created"),
            over_time(per_second(("kind", "outcome"), JOB_RETRIES, "_count"), "{{kind}} {{outcome}}"),
            unit="ops",
            alerts=[alerts.JOB_SUCCESS_BURN_FAST],
            links=[JOBS_API],
        ),
        time_series(
            "Attempts by outcome",
            "Attempts ended per second.",
            over_time(per_second(("outcome",), JOB_DURATION, "_count"), "{{outcome}}"),
            unit="ops",
            stacked=True,
            links=[JOBS_API],
        ),
        time_series(
            "Duration of an attempt",
            "From claim to end, by kind of job, whatever the outcome.",
            *percentiles(JOB_DURATION, ("kind",)),
            unit="s",
            links=[JOBS_API],
        ),
        time_series(
            "Time to completion",
            f"From approval or request to completion, by kind of job; {JOB_LATENCY_SECONDS:g} s are promised for 99 of"
            " 100 Phase 1 jobs, nothing for analyses.",
            *percentiles(JOB_LATENCY, ("kind",)),
            unit="s",
            steps=bad_from(JOB_LATENCY_SECONDS),
            alerts=[alerts.JOB_LATENCY_BURN_FAST, alerts.JOB_LATENCY_BURN_SLOW],
        ),
    )


def _failures() -> Sequence[Panel]:
    ended = per_second((), JOB_RETRIES, "_count")
    return (
        time_series(
            "Error rate by size of the plan",
            "Share of all jobs ended that failed for good, by opportunities in the plan; none before its analysis.",
            over_time(_share("plan_size", ended), "{{plan_size}}"),
            unit="percentunit",
            steps=bad_from(JOB_SUCCESS.budget),
            alerts=[alerts.JOB_SUCCESS_BURN_FAST, alerts.JOB_SUCCESS_BURN_SLOW],
            links=[DEAD_LETTERS_API],
        ),
        time_series(
            "Error rate by class of error",
            "Share of all jobs ended that failed for good: after all retries, at once, or with their process.",
            over_time(_share("error_class", ended), "{{error_class}}"),
            unit="percentunit",
            steps=bad_from(JOB_SUCCESS.budget),
            alerts=[alerts.JOB_SUCCESS_BURN_FAST, alerts.JOB_SUCCESS_BURN_SLOW],
            links=[DEAD_LETTERS_API],
        ),
        time_series(
            "Tasks created",
            "Phase 1 tasks per second, by where they came from: the agent, its last answer, the plan, or a template.",
            over_time(per_second(("source",), TASKS_CREATED), "{{source}}"),
            unit="ops",
            stacked=True,
            links=[TASKS_API],
        ),
        time_series(
            "Jobs postponed",
            "Attempts put off per second because an agent was busy; they count as no failure.",
            over_time(per_second(("kind",), JOBS_POSTPONED), "{{kind}}"),
            unit="ops",
            links=[AGENTS_BOARD],
        ),
    )


def _share(label: str, ended: str) -> str:
    return f"{per_second((label,), JOBS_FAILED)} / on (environment) group_left () {ended}"
