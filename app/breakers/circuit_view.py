"""What a process tells of circuits: how one is, and that one has changed."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.breaker import BreakerRules, Circuit, CircuitState, TurnCause


@dataclass(frozen=True)
class CircuitView:
    """One agent's circuit at one moment; times in seconds from then."""

    agent: str
    state: CircuitState
    failures: int
    """Failures in a row while closed."""
    successes: int
    """Probes that succeeded while half-open."""
    probes: int
    """Probes under way."""
    rules: BreakerRules
    seconds_until_retry: float
    """When a call may pass at the earliest; 0 for now."""
    held: bool
    """Whether an operator opened it, or holds it closed."""
    held_seconds: float
    """For how long still; 0 when nobody does."""
    reason: str | None
    """What the operator gave as reason."""
    sick_seconds: float | None
    """How long ago it opened first since it was closed; None while it is closed."""
    error_code: str | None
    error: str | None
    """The last failure that counted."""
    in_touch: bool
    """Whether this is what all processes know; else it is what this one does, as Redis is away."""

    @classmethod
    def of(cls, agent: str, circuit: Circuit, rules: BreakerRules, now: float, *, in_touch: bool) -> CircuitView:
        """Return the view of a circuit at this time of its clock."""
        held_seconds = circuit.seconds_left(now) if circuit.held else 0.0
        return cls(
            agent=agent,
            state=circuit.state_at(now),
            failures=circuit.failures,
            successes=circuit.successes,
            probes=sum(ends > now for ends in circuit.probes.values()),
            rules=rules,
            seconds_until_retry=circuit.seconds_until_retry(rules, now),
            held=held_seconds > 0,
            held_seconds=held_seconds,
            reason=circuit.reason or None if held_seconds > 0 else None,
            sick_seconds=None if circuit.opened_at is None else now - circuit.opened_at,
            error_code=circuit.error_code or None,
            error=circuit.error or None,
            in_touch=in_touch,
        )


@dataclass(frozen=True)
class Turn:
    """A change of a circuit's state."""

    agent: str
    before: CircuitState
    after: CircuitState
    cause: TurnCause
    generation: int
    seconds: float
    """For how long it was opened, or is held closed; 0 when that does not apply."""
    reason: str
    error_code: str
    error: str
