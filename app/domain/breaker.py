"""The circuit breaker of one agent, as a pure state machine.

Times are seconds of one clock that never goes back, whichever the caller has; nothing here reads it.
`app/breakers/circuit.lua` is the same machine for Redis, and one suite of tests holds both to the same moves.
docs/decisions/circuit-breaker.md
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

#: An agent may ask for a pause (HTTP `Retry-After`); whatever it says, its circuit opens for no longer than this.
LONGEST_PAUSE_SECONDS = 3600.0


class CircuitState(StrEnum):
    """Whether calls pass."""

    CLOSED = "closed"
    """Every call passes."""
    OPEN = "open"
    """No call passes, until its time is over."""
    HALF_OPEN = "half_open"
    """A few calls pass at a time: probes, which decide."""


class TurnCause(StrEnum):
    """Why a circuit changed its state."""

    FAILURES = "failures"
    """Too many calls in a row failed: it opened."""
    TIME_UP = "time_up"
    """It has been open for long enough, and a call came: it let that one through as a probe."""
    PROBE_FAILED = "probe_failed"
    """A probe failed: it opened again."""
    RECOVERED = "recovered"
    """Enough probes succeeded: it closed."""
    OPERATOR = "operator"
    """A person opened, closed or reset it."""


class MoveKind(StrEnum):
    """What can happen to a circuit."""

    ADMIT = "admit"
    """A call asks to pass."""
    SUCCEED = "succeed"
    """A call that passed was answered."""
    FAIL = "fail"
    """A call that passed met a sick agent."""
    RELEASE = "release"
    """A call that passed ended without telling anything of the agent."""
    OPEN = "open"
    """An operator opens it, for a time."""
    CLOSE = "close"
    """An operator closes it, and holds it closed for a time."""
    RESET = "reset"
    """An operator lets it begin anew."""
    LOOK = "look"
    """Nothing happens; who asks wants to know the state."""


@dataclass(frozen=True)
class BreakerRules:
    """The numbers of one agent's breaker."""

    failure_threshold: int = 5
    """Failures in a row that open it."""
    open_seconds: float = 60.0
    """How long it stays open."""
    success_threshold: int = 2
    """Probes that must succeed until it closes."""
    half_open_probes: int = 2
    """Probes that may be under way at the same time."""


@dataclass(frozen=True)
class Move:
    """One thing that happens to a circuit; the fields that its kind needs are set."""

    kind: MoveKind
    generation: int = -1
    """SUCCEED, FAIL: the generation in which the call was admitted."""
    probe: str = ""
    """ADMIT, SUCCEED, FAIL, RELEASE: names the call, should it be a probe."""
    seconds: float = 0.0
    """ADMIT: a probe that has not ended after so long holds its place no more. OPEN, CLOSE: for how long. FAIL: how
    long the agent asked to be left alone."""
    reason: str = ""
    """OPEN, CLOSE: why."""
    error_code: str = ""
    error: str = ""
    """FAIL: what the agent did."""


@dataclass(frozen=True)
class Circuit:
    """What is known of one agent's circuit.

    `generation` counts the turns of its state, `version` every change; of two copies, the one with the greater pair is
    the newer one.
    """

    state: CircuitState = CircuitState.CLOSED
    generation: int = 0
    version: int = 0
    failures: int = 0
    """Failures in a row while closed."""
    successes: int = 0
    """Probes that succeeded while half-open."""
    probes: Mapping[str, float] = field(default_factory=dict)
    """Probes under way, and when each one's place is free again at the latest."""
    ends_at: float | None = None
    """Until when it stays open, or an operator holds it closed."""
    span: float | None = None
    """How long that was meant to be; more can never be left of it, wherever the clock is set."""
    held: bool = False
    """Whether an operator put it there."""
    reason: str = ""
    opened_at: float | None = None
    """When it opened first since it was closed."""
    error_code: str = ""
    error: str = ""
    """The last failure."""

    def is_newer_than(self, other: Circuit) -> bool:
        """Tell whether this copy has seen more."""
        return (self.generation, self.version) > (other.generation, other.version)

    def state_at(self, now: float) -> CircuitState:
        """Return the state as a caller meets it: one whose time is up lets a probe through."""
        if self.state is CircuitState.OPEN and self.seconds_left(now) <= 0:
            return CircuitState.HALF_OPEN
        return self.state

    def seconds_left(self, now: float) -> float:
        """Return how long it stays open, or held closed; 0 when it does not."""
        if self.ends_at is None or self.span is None:
            return 0.0
        return max(0.0, min(self.ends_at - now, self.span))

    def surely_refuses(self, rules: BreakerRules, now: float) -> bool:
        """Tell whether a call would be refused now, by what this copy knows."""
        if self.state is CircuitState.OPEN:
            return self.seconds_left(now) > 0
        return self.state is CircuitState.HALF_OPEN and self._under_way(now) >= rules.half_open_probes

    def seconds_until_retry(self, rules: BreakerRules, now: float) -> float:
        """Return after how long a call may pass at the earliest: 0 for at once."""
        if self.state is CircuitState.OPEN:
            return self.seconds_left(now)
        if self.surely_refuses(rules, now):
            return max(0.0, min(self.probes.values()) - now)
        return 0.0

    def _under_way(self, now: float) -> int:
        return sum(ends > now for ends in self.probes.values())


@dataclass(frozen=True)
class Step:
    """What a move led to: the circuit after it, whether the call may pass, and why the state turned, if it did."""

    circuit: Circuit
    admitted: bool = False
    cause: TurnCause | None = None


def apply_move(circuit: Circuit, move: Move, rules: BreakerRules, now: float) -> Step:
    """Return what this move leads to; `circuit.lua` does the same."""
    circuit = _tidied(circuit, now)
    match move.kind:
        case MoveKind.ADMIT:
            return _admit(circuit, move, rules, now)
        case MoveKind.SUCCEED:
            return _succeed(circuit, move, rules)
        case MoveKind.FAIL:
            return _fail(circuit, move, rules, now)
        case MoveKind.RELEASE:
            return Step(_without_probe(circuit, move.probe))
        case MoveKind.LOOK:
            return Step(circuit)
        case _:
            return Step(_operated(circuit, move, now), cause=TurnCause.OPERATOR)


def _tidied(circuit: Circuit, now: float) -> Circuit:
    """Return the circuit without what time has ended."""
    if circuit.ends_at is not None and circuit.span is not None and circuit.ends_at - now > circuit.span:
        circuit = replace(circuit, ends_at=now + circuit.span)
    if circuit.state is CircuitState.CLOSED and circuit.ends_at is not None and circuit.ends_at <= now:
        circuit = replace(circuit, ends_at=None, span=None, held=False, reason="")
    if circuit.probes:
        circuit = replace(circuit, probes={probe: ends for probe, ends in circuit.probes.items() if ends > now})
    return circuit


def _admit(circuit: Circuit, move: Move, rules: BreakerRules, now: float) -> Step:
    if circuit.state is CircuitState.CLOSED:
        return Step(circuit, admitted=True)
    cause = None
    if circuit.state is CircuitState.OPEN:
        if circuit.seconds_left(now) > 0:
            return Step(circuit)
        circuit, cause = _turned(circuit, CircuitState.HALF_OPEN), TurnCause.TIME_UP
    if len(circuit.probes) >= rules.half_open_probes:
        return Step(circuit)
    probes = {**circuit.probes, move.probe: now + move.seconds}
    return Step(replace(circuit, version=circuit.version + 1, probes=probes), admitted=True, cause=cause)


def _succeed(circuit: Circuit, move: Move, rules: BreakerRules) -> Step:
    if circuit.state is CircuitState.CLOSED:
        if move.generation != circuit.generation or not circuit.failures:
            return Step(circuit)
        return Step(replace(circuit, version=circuit.version + 1, failures=0))
    if move.probe not in circuit.probes:
        # It was sent before the circuit opened, or its place was taken from it: that is no news.
        return Step(circuit)
    circuit = replace(_without_probe(circuit, move.probe), successes=circuit.successes + 1)
    if circuit.successes < rules.success_threshold:
        return Step(circuit)
    return Step(replace(_turned(circuit, CircuitState.CLOSED), opened_at=None), cause=TurnCause.RECOVERED)


def _fail(circuit: Circuit, move: Move, rules: BreakerRules, now: float) -> Step:
    open_seconds = max(rules.open_seconds, min(move.seconds, LONGEST_PAUSE_SECONDS))
    if circuit.state is CircuitState.CLOSED:
        if move.generation != circuit.generation or circuit.held:
            return Step(circuit)
        circuit = replace(
            circuit,
            version=circuit.version + 1,
            failures=circuit.failures + 1,
            error_code=move.error_code,
            error=move.error,
        )
        if circuit.failures < rules.failure_threshold:
            return Step(circuit)
        return Step(_opened(circuit, open_seconds, now), cause=TurnCause.FAILURES)
    if move.probe not in circuit.probes:
        return Step(circuit)
    circuit = replace(circuit, error_code=move.error_code, error=move.error)
    return Step(_opened(circuit, open_seconds, now), cause=TurnCause.PROBE_FAILED)


def _operated(circuit: Circuit, move: Move, now: float) -> Circuit:
    if move.kind is MoveKind.OPEN:
        return replace(_opened(circuit, move.seconds, now), held=True, reason=move.reason)
    if move.kind is MoveKind.RESET:
        return replace(_turned(circuit, CircuitState.CLOSED), opened_at=None, error_code="", error="")
    closed = _turned(circuit, CircuitState.CLOSED, ends_at=now + move.seconds, span=move.seconds)
    return replace(closed, held=True, reason=move.reason, opened_at=None)


def _opened(circuit: Circuit, seconds: float, now: float) -> Circuit:
    opened_at = now if circuit.opened_at is None else circuit.opened_at
    opened = _turned(circuit, CircuitState.OPEN, ends_at=now + seconds, span=seconds)
    return replace(opened, opened_at=opened_at)


def _turned(
    circuit: Circuit, state: CircuitState, *, ends_at: float | None = None, span: float | None = None
) -> Circuit:
    return Circuit(
        state=state,
        generation=circuit.generation + 1,
        version=circuit.version + 1,
        ends_at=ends_at,
        span=span,
        opened_at=circuit.opened_at,
        error_code=circuit.error_code,
        error=circuit.error,
    )


def _without_probe(circuit: Circuit, probe: str) -> Circuit:
    if probe not in circuit.probes:
        return circuit
    probes = {other: ends for other, ends in circuit.probes.items() if other != probe}
    return replace(circuit, version=circuit.version + 1, probes=probes)
