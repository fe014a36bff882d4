"""Alerts on the agents' circuit breakers."""

from __future__ import annotations

from alerting.rules.rule import AlertRule
from app.domain.alerts import ALL_CIRCUITS_OPEN, CIRCUIT_FLAPPING, CIRCUIT_OPENED, REFUSALS_SLOW
from app.domain.breaker import CircuitState, TurnCause
from app.domain.dashboards import Dashboard
from app.domain.objectives import FLAPS, LEAST_BAD_EVENTS, REFUSAL_SECONDS, REFUSAL_SHARE
from app.metrics import BREAKER_STATE, BREAKER_TURNS, REFUSAL_DURATION
from app.promql import edge, increase, level, one_of, sum_by

_AGENT = ("environment", "agent")

#: A half-open circuit has not recovered yet: with `open` alone the alert would come and go with each probe.
_SICK = level(BREAKER_STATE, _AGENT, state=one_of(CircuitState.OPEN, CircuitState.HALF_OPEN))

_TURNS = increase(BREAKER_TURNS, "10m", cause=one_of(TurnCause.FAILURES, TurnCause.RECOVERED))


def _refused() -> tuple[str, str]:
    """Return the calls that were refused within 5 minutes, and those of them that took too long."""
    refused = sum_by(_AGENT, increase(REFUSAL_DURATION, "5m", "_count"))
    bound = edge(REFUSAL_DURATION, REFUSAL_SECONDS)
    quick = sum_by(_AGENT, increase(REFUSAL_DURATION, "5m", "_bucket", le=bound))
    return refused, f"({refused} - {quick})"


def _slow_refusals() -> str:
    refused, slow = _refused()
    # Half an event below: the growth within a window is estimated, and no whole number.
    return f"{slow} / ({refused} > 0) > 1 - {REFUSAL_SHARE}\nand {slow} > {LEAST_BAD_EVENTS - 0.5}"


CIRCUIT_RULES = (
    AlertRule(
        CIRCUIT_OPENED,
        f"{_SICK} == 1",
        threshold="not closed",
        summary="The circuit of {{ $labels.agent }} is open",
        description="Calls to {{ $labels.agent }} in {{ $labels.environment }} failed one after the other, or somebody"
        " opened its circuit. It is not called; last good answers stand in.",
        dashboard=Dashboard.AGENTS_AND_BREAKERS,
    ),
    AlertRule(
        ALL_CIRCUITS_OPEN,
        f"min by (environment) ({_SICK}) == 1",
        threshold="not one closed",
        summary="The circuits of all agents are open",
        description="No agent of {{ $labels.environment }} is called. Analyses consist of stored answers or are empty.",
        dashboard=Dashboard.AGENTS_AND_BREAKERS,
    ),
    AlertRule(
        CIRCUIT_FLAPPING,
        f"round({sum_by(_AGENT, _TURNS)}) > {FLAPS}",
        threshold=f"more than {FLAPS} openings and recoveries within 10 min",
        summary="The circuit of {{ $labels.agent }} opens and closes: {{ $value }} times in 10 minutes",
        description="{{ $labels.agent }} of {{ $labels.environment }} recovers and fails again. Its probes succeed, and"
        " its work does not.",
        dashboard=Dashboard.AGENTS_AND_BREAKERS,
        for_seconds=120,
        keep_firing_seconds=300,
    ),
    AlertRule(
        REFUSALS_SLOW,
        _slow_refusals(),
        threshold=f"more than {1 - REFUSAL_SHARE:.0%} of the refusals take over {REFUSAL_SECONDS:g} s, and"
        f" {LEAST_BAD_EVENTS} at least do",
        summary="Calls that the open circuit of {{ $labels.agent }} refuses are answered slowly",
        description="{{ $value | humanizePercentage }} of the calls to {{ $labels.agent }} that were refused in"
        f" {{{{ $labels.environment }}}} within 5 minutes took more than {REFUSAL_SECONDS:g} s.",
        dashboard=Dashboard.AGENTS_AND_BREAKERS,
        for_seconds=120,
    ),
)
