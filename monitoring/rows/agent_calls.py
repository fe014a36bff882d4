"""Calls to agents: how many, how well, how long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grafanalib.core import Panel

from app.domain import alerts
from app.domain.objectives import AGENT_ERROR_RATIO
from app.metrics import (
    AGENT_CALLS,
    AGENT_DURATION,
    AGENT_ERROR_RATE,
    AGENT_IN_FLIGHT,
    AGENT_REFUSED,
    AGENT_RETRIES,
    AGENT_TIMEOUT,
)
from monitoring.panels.charts import heatmap, time_series
from monitoring.panels.colours import bad_from
from monitoring.panels.grid import Row
from monitoring.panels.latencies import percentiles
from monitoring.panels.scoped import WINDOW, grown, level_now, mean_of, per_second, quantile_of, total
from monitoring.panels.targets import buckets, over_time
from monitoring.rows.ways import BREAKERS_API, DIAGNOSTICS_API


def agent_calls() -> Row:
    """Return the row."""
    return Row("Calls", _calls())


def agent_limits() -> Row:
    """Return the row of what keeps one agent from harming the rest."""
    return Row("Timeouts, bulkheads and retry budgets", _limits(), collapsed=True)


def error_rates(title: str, links: Sequence[dict[str, Any]] = ()) -> Panel:
    """Return the panel with the share of failed calls of each agent."""
    return time_series(
        title,
        "Share of the calls in the last 5 minutes that failed; no line where there were none.",
        over_time(level_now(("agent",), AGENT_ERROR_RATE), "{{agent}}"),
        unit="percentunit",
        steps=bad_from(AGENT_ERROR_RATIO),
        most=1,
        alerts=[alerts.CIRCUIT_OPENED],
        links=links,
    )


def _calls() -> Sequence[Panel]:
    return (
        error_rates("Failed calls by agent"),
        time_series(
            "Calls by outcome",
            "Per second, all chosen agents together.",
            over_time(per_second(("outcome",), AGENT_CALLS), "{{outcome}}"),
            unit="ops",
            stacked=True,
            links=[BREAKERS_API],
        ),
        time_series(
            "Calls by agent",
            "Per second, whatever the outcome.",
            over_time(per_second(("agent",), AGENT_CALLS), "{{agent}}"),
            unit="ops",
            links=[BREAKERS_API],
        ),
        time_series(
            "Latency of calls",
            "Time that a call took, all chosen agents together.",
            *percentiles(AGENT_DURATION),
            unit="s",
            links=[BREAKERS_API],
        ),
        time_series(
            "P95 latency by agent",
            "Time within which 95 of 100 calls to each agent were over.",
            over_time(quantile_of(0.95, ("agent",), AGENT_DURATION), "{{agent}}", exemplars=True),
            unit="s",
            links=[BREAKERS_API],
        ),
        heatmap(
            "Calls by latency",
            "Calls to the chosen agents, by the time they took.",
            buckets(grown(("le",), AGENT_DURATION, "_bucket", window=WINDOW)),
            unit="s",
            links=[BREAKERS_API],
        ),
    )


def _limits() -> Sequence[Panel]:
    return (
        time_series(
            "Timeouts by policy",
            "Mean timeout given to calls: what the rule says, what was learned (when enough is known), what was used.",
            over_time(mean_of(("policy",), AGENT_TIMEOUT), "{{policy}}"),
            unit="s",
            links=[DIAGNOSTICS_API],
        ),
        time_series(
            "Calls that ran into their timeout",
            "Per second, by agent.",
            over_time(per_second(("agent",), AGENT_CALLS, outcome="timeout"), "{{agent}}"),
            unit="ops",
            alerts=[alerts.CIRCUIT_OPENED],
        ),
        time_series(
            "Calls in flight",
            "Calls being made now, by agent, of all processes together.",
            over_time(total(("agent",), AGENT_IN_FLIGHT), "{{agent}}"),
            unit="short",
            alerts=[alerts.WORKERS_SATURATED],
        ),
        time_series(
            "Refusals of the bulkhead",
            "Times per second that a job had to wait because its process made as many calls to the agent as it may.",
            over_time(per_second(("agent", "kind"), AGENT_REFUSED), "{{agent}} {{kind}}"),
            unit="ops",
            alerts=[alerts.WORKERS_SATURATED],
        ),
        time_series(
            "Retries of calls",
            "Calls per second that only an earlier failure made necessary: made, or refused by the retry budget.",
            over_time(per_second(("agent", "outcome"), AGENT_RETRIES), "{{agent}} {{outcome}}"),
            unit="ops",
            width=24,
            links=[BREAKERS_API],
        ),
    )
