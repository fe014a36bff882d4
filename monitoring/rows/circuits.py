"""The circuit of each agent: how it stands, how often it turns, and what stands in."""

from __future__ import annotations

from collections.abc import Sequence

from grafanalib.core import Panel

from app.domain import alerts
from app.domain.breaker import TurnCause
from app.domain.objectives import FLAPS, REFUSAL_SECONDS
from app.metrics import BREAKER_RECOVERY, BREAKER_REFUSALS, BREAKER_TURNS, FALLBACKS, REFUSAL_DURATION
from app.promql import MATCHES
from monitoring.panels.charts import state_timeline, time_series
from monitoring.panels.colours import bad_from
from monitoring.panels.grid import Row
from monitoring.panels.latencies import percentiles
from monitoring.panels.scoped import WINDOW, circuit_states, grown, mean_of, per_second
from monitoring.panels.targets import over_time
from monitoring.rows.names import CIRCUITS
from monitoring.rows.ways import BREAKERS_API


def circuits() -> Row:
    """Return the row."""
    return Row("Circuits", [*_states(), *_answers()])


def _states() -> Sequence[Panel]:
    # A probe that fails is no flapping: the circuit of an agent that is simply dead opens again each time.
    cause = f"{MATCHES}{TurnCause.FAILURES}|{TurnCause.RECOVERED}"
    turns = grown(("agent",), BREAKER_TURNS, window="10m", cause=cause)
    return (
        state_timeline(
            "Circuits over time",
            "One lane per agent: calls pass (closed), a few try (half open), none pass (open).",
            over_time(circuit_states(), "{{agent}}"),
            names=CIRCUITS,
            alerts=[alerts.CIRCUIT_OPENED, alerts.ALL_CIRCUITS_OPEN],
            links=[BREAKERS_API],
            width=24,
        ),
        time_series(
            "Openings and recoveries within 10 minutes",
            f"By agent, failed probes not counted; more than {FLAPS} mean that the circuit flaps.",
            over_time(turns, "{{agent}}"),
            unit="short",
            steps=bad_from(FLAPS),
            alerts=[alerts.CIRCUIT_FLAPPING],
            links=[BREAKERS_API],
        ),
        time_series(
            "Changes by state and cause",
            "In the chosen step: the state after the change, and why it came about.",
            over_time(grown(("state", "cause"), BREAKER_TURNS, window=WINDOW), "{{state}} ({{cause}})"),
            unit="short",
            alerts=[alerts.CIRCUIT_OPENED],
        ),
    )


def _answers() -> Sequence[Panel]:
    return (
        time_series(
            "Time to recover",
            "Mean time from a circuit's first opening until it closed again, by agent.",
            over_time(mean_of(("agent",), BREAKER_RECOVERY), "{{agent}}"),
            unit="s",
            event_only="It has values only where a circuit has closed again.",
            alerts=[alerts.CIRCUIT_OPENED],
            width=8,
        ),
        time_series(
            "Calls refused by open circuits",
            "Per second, by agent: each was answered at once, without the agent.",
            over_time(per_second(("agent",), BREAKER_REFUSALS), "{{agent}}"),
            unit="ops",
            alerts=[alerts.CIRCUIT_OPENED],
            width=8,
        ),
        time_series(
            "Time to answer a refused call",
            f"Until the answer that stood in was there; {REFUSAL_SECONDS * 1000:g} ms are promised for 99 of 100.",
            *percentiles(REFUSAL_DURATION),
            unit="s",
            steps=bad_from(REFUSAL_SECONDS),
            event_only="It has values only while an open circuit refuses calls.",
            alerts=[alerts.REFUSALS_SLOW],
            width=8,
        ),
        time_series(
            "Answers that stood in",
            "Fallbacks per second, by agent: its last good answer, or an empty one.",
            over_time(per_second(("agent", "source"), FALLBACKS), "{{agent}} {{source}}"),
            unit="ops",
            alerts=[alerts.CIRCUIT_OPENED],
            width=24,
        ),
    )
