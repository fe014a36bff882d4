"""The breakers of all agents: which calls pass, and what is told of it.

docs/decisions/circuit-breaker.md
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from uuid import uuid4

import structlog

from app.breakers.circuit_view import CircuitView, Turn
from app.breakers.circuits import Circuits
from app.breakers.shared_circuits import SharedCircuits, SharedStep
from app.domain.agent_health import is_sickness
from app.domain.breaker import BreakerRules, CircuitState, Move, MoveKind
from app.domain.errors import CircuitOpenError, NotFoundError, RecoverableError
from app.live_metrics import LiveMetrics
from app.metrics import BREAKER_RECOVERY, BREAKER_REFUSALS, BREAKER_TURNS

_log = structlog.stdlib.get_logger(__name__)

#: Calls of one process ask one after the other whether they may be probes; one that would wait longer is refused.
_ASK_SECONDS = 0.02

#: A probe keeps its place for this long beyond the time that its call was given.
_LEASE_MARGIN_SECONDS = 5.0

_LONGEST_ERROR = 300


class Breakers:
    """Decides which calls pass; safe to use from many threads, and no lock is held during a call.

    A call that passes a closed circuit and succeeds needs no command of Redis. `on_turn` is told of each change of
    state that a move of this process brought about, but for those of operators; it must not wait.
    """

    def __init__(
        self,
        rules: Mapping[str, BreakerRules],
        metrics: LiveMetrics,
        *,
        shared: SharedCircuits | None = None,
        on_turn: Callable[[Turn], None] = lambda _turn: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._circuits = Circuits(rules, metrics, shared, clock=clock)
        self._metrics = metrics
        self._on_turn = on_turn
        self._clock = clock
        self._asking = {agent: threading.Lock() for agent in rules}
        self._probe_names = map(f"{uuid4().hex[:12]}-{{}}".format, itertools.count())

    def start(self) -> None:
        """Begin to follow Redis; until then, and without it, this process is alone."""
        self._circuits.start()

    def close(self) -> None:
        """Stop following."""
        self._circuits.close()

    @property
    def in_touch(self) -> bool:
        """Whether the circuits are shared with the other processes now."""
        return self._circuits.in_touch

    def call(self, agent: str, given_seconds: float) -> ProtectedCall:
        """Return the context of one call, which gets so much time; its end is reported by how the block ends.

        Entering it raises `CircuitOpenError` when the call must not be made.
        """
        return ProtectedCall(self, agent, given_seconds)

    def views(self) -> list[CircuitView]:
        """Return every agent's circuit as this process knows it, in the order of the configuration."""
        return [self.view(agent) for agent in self._circuits.rules]

    def view(self, agent: str) -> CircuitView:
        """Return one agent's circuit as this process knows it.

        Raises:
            NotFoundError: There is no such agent.
        """
        rules = self._rules_of(agent)
        return CircuitView.of(agent, self._circuits.copy(agent), rules, self._clock(), in_touch=self.in_touch)

    def operate(self, agent: str, move: Move) -> Turn:
        """Open, close or reset a circuit for all processes; return the change, which `on_turn` is not told of.

        Raises:
            NotFoundError: There is no such agent.
            RedisUnavailableError: The other processes cannot be told; nothing happened, or it is unknown.
        """
        self._rules_of(agent)
        turn = self._turn(agent, self._circuits.move_shared(agent, move))
        if turn is None:
            raise ValueError(f"{move.kind} is no move of an operator")
        return turn

    def refuses(self, agent: str) -> bool:
        """Tell whether a call would be refused now, by what this process knows; True for an agent that there is not."""
        rules = self._circuits.rules.get(agent)
        return rules is None or self._circuits.copy(agent).surely_refuses(rules, self._clock())

    def admit(self, agent: str, given_seconds: float) -> tuple[int, str]:
        """Let a call pass; return the generation in which it does, and its name if it is a probe, else "".

        Raises:
            CircuitOpenError: The call must not be made.
        """
        circuit = self._circuits.copy(agent)
        if circuit.state is CircuitState.CLOSED:
            return circuit.generation, ""
        rules = self._circuits.rules[agent]
        if not circuit.surely_refuses(rules, self._clock()):
            admitted = self._ask_for_probe(agent, rules, given_seconds)
            if admitted is not None:
                return admitted
            circuit = self._circuits.copy(agent)
        self._metrics.count(BREAKER_REFUSALS, agent=agent)
        retry_in = circuit.seconds_until_retry(rules, self._clock())
        raise CircuitOpenError(f"{agent} was not called: its circuit is {circuit.state}, next try in {retry_in:.1f} s")

    def end(self, agent: str, generation: int, probe: str, error: BaseException | None, given_seconds: float) -> None:
        """Note how a call that passed has ended: well when there is no error."""
        circuit = self._circuits.copy(agent)
        if error is None:
            if probe or (circuit.failures and circuit.state is CircuitState.CLOSED):
                self._move(agent, Move(MoveKind.SUCCEED, generation=generation, probe=probe))
        elif is_sickness(error, given_seconds=given_seconds):
            if probe or circuit.generation == generation:
                self._move(agent, _failure(error, generation, probe))
        elif probe:
            self._move(agent, Move(MoveKind.RELEASE, probe=probe))

    def _ask_for_probe(self, agent: str, rules: BreakerRules, given_seconds: float) -> tuple[int, str] | None:
        """Return as `admit` does when the call may be a probe, else None."""
        if not self._asking[agent].acquire(timeout=_ASK_SECONDS):
            return None
        try:
            # Another call may have asked meanwhile.
            refuses = self._circuits.copy(agent).surely_refuses(rules, self._clock())
            if refuses or self._circuits.just_lost_touch:
                return None
            probe = next(self._probe_names)
            lease_seconds = given_seconds + _LEASE_MARGIN_SECONDS
            step = self._move(agent, Move(MoveKind.ADMIT, probe=probe, seconds=lease_seconds)).step
        finally:
            self._asking[agent].release()
        if not step.admitted:
            return None
        return step.circuit.generation, probe if probe in step.circuit.probes else ""

    def _rules_of(self, agent: str) -> BreakerRules:
        rules = self._circuits.rules.get(agent)
        if rules is None:
            raise NotFoundError(f"there is no agent {agent}")
        return rules

    def _move(self, agent: str, move: Move) -> SharedStep:
        found = self._circuits.move(agent, move)
        turn = self._turn(agent, found)
        if turn is not None:
            self._on_turn(turn)
        return found

    def _turn(self, agent: str, found: SharedStep) -> Turn | None:
        """Count the change of state that a move led to, and return it, if it did."""
        before, circuit, cause = found.before, found.step.circuit, found.step.cause
        if cause is None:
            return None
        if circuit.state is CircuitState.CLOSED and before.opened_at is not None:
            self._metrics.observe(BREAKER_RECOVERY, self._clock() - before.opened_at, agent=agent)
        self._metrics.count(BREAKER_TURNS, agent=agent, state=circuit.state, cause=cause)
        _log.warning(
            "circuit_turned",
            agent=agent,
            before=before.state,
            state=circuit.state,
            cause=cause,
            error_code=circuit.error_code,
        )
        return Turn(
            agent,
            before.state,
            circuit.state,
            cause,
            generation=circuit.generation,
            seconds=circuit.span or 0.0,
            reason=circuit.reason,
            error_code=circuit.error_code,
            error=circuit.error,
        )


def _failure(error: BaseException, generation: int, probe: str) -> Move:
    pause_seconds = error.retry_after_seconds if isinstance(error, RecoverableError) else None
    return Move(
        MoveKind.FAIL,
        generation=generation,
        probe=probe,
        seconds=pause_seconds or 0.0,
        error_code=getattr(error, "code", ""),
        error=str(error)[:_LONGEST_ERROR],
    )


class ProtectedCall:
    """One call to an agent, as a context."""

    __slots__ = ("_agent", "_breakers", "_generation", "_given_seconds", "_probe")

    def __init__(self, breakers: Breakers, agent: str, given_seconds: float) -> None:
        self._breakers = breakers
        self._agent = agent
        self._given_seconds = given_seconds

    def __enter__(self) -> None:
        """Pass.

        Raises:
            CircuitOpenError: The call must not be made.
        """
        self._generation, self._probe = self._breakers.admit(self._agent, self._given_seconds)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Report how the call ended."""
        self._breakers.end(self._agent, self._generation, self._probe, error, self._given_seconds)
