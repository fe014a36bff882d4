"""Shapes of circuits: how one is, and how it came to be so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from app.api.jobs import JobError
from app.api.shapes import Answer, UtcTime
from app.breaker_status import CircuitStatus
from app.domain.breaker import CircuitState, TurnCause
from app.storage.breaker_transitions import Transition


class BreakerHold(Answer):
    """What an operator has done to a circuit, and until when; `by` is null until it is written down."""

    by: str | None
    reason: str | None
    until: UtcTime
    seconds_left: float


class BreakerAnswer(Answer):
    """An agent's circuit.

    `failures` in a row count while it is closed, `successes` of `probes` while it is half-open. `retryAt` is when a
    call may pass at the earliest, null for now. `errorRate` is the share of `calls` in the last 5 minutes that failed;
    it is null when there were none. `shared` is false while Redis is away: then this is what one process knows.
    """

    agent: str
    state: CircuitState
    shared: bool
    failures: int
    failure_threshold: int
    successes: int
    success_threshold: int
    probes: int
    half_open_probes: int
    open_seconds: float
    seconds_until_retry: float
    retry_at: UtcTime | None
    held: BreakerHold | None
    sick_since: UtcTime | None
    last_error: JobError | None
    calls: int
    error_rate: float | None
    transitions_last_hour: int

    @classmethod
    def of(cls, found: CircuitStatus) -> Self:
        """Return the answer for a circuit."""
        return cls(**_fields(found))


class BreakerTransition(Answer):
    """A change of a circuit's state; `by` and `reason` are an operator's, `error` is the failure that caused it."""

    at: UtcTime
    from_state: CircuitState
    to_state: CircuitState
    cause: TurnCause
    seconds: float | None
    by: str | None
    reason: str | None
    error: JobError | None

    @classmethod
    def of(cls, found: Transition) -> BreakerTransition:
        """Return the answer for a row of the history."""
        return cls(
            at=found.at,
            from_state=found.from_state,
            to_state=found.to_state,
            cause=found.cause,
            seconds=found.seconds,
            by=found.actor,
            reason=found.reason,
            error=JobError.of(found.error_code, found.error),
        )


class BreakerDetail(BreakerAnswer):
    """An agent's circuit, as in the list, and its newest changes, newest first."""

    history: list[BreakerTransition]

    @classmethod
    def with_history(cls, found: CircuitStatus, history: Sequence[Transition]) -> BreakerDetail:
        """Return the answer for a circuit and its history."""
        return cls(**_fields(found), history=[BreakerTransition.of(transition) for transition in history])


def _fields(found: CircuitStatus) -> Mapping[str, Any]:
    view, rules = found.view, found.view.rules
    return {
        "agent": view.agent,
        "state": view.state,
        "shared": view.in_touch,
        "failures": view.failures,
        "failure_threshold": rules.failure_threshold,
        "successes": view.successes,
        "success_threshold": rules.success_threshold,
        "probes": view.probes,
        "half_open_probes": rules.half_open_probes,
        "open_seconds": rules.open_seconds,
        "seconds_until_retry": round(view.seconds_until_retry, 3),
        "retry_at": found.retry_at,
        "held": None
        if found.held_until is None
        else BreakerHold(
            by=found.held_by,
            reason=view.reason,
            until=found.held_until,
            seconds_left=round(view.held_seconds, 3),
        ),
        "sick_since": found.sick_since,
        "last_error": JobError.of(view.error_code, view.error),
        "calls": found.recent.calls,
        "error_rate": found.recent.error_rate,
        "transitions_last_hour": found.turns_last_hour,
    }
