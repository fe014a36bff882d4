"""The breakers of all agents, as one process sees and moves them.

While Redis is there, it holds the circuits; this process follows every change and needs no command for a call that
passes a closed circuit and succeeds. While it is away, the process goes on alone with the copies that it has; back
again, of two copies the one that has seen more holds. docs/decisions/circuit-breaker.md
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final
from uuid import uuid4

import structlog

from app.breakers.circuit_view import CircuitView, Turn
from app.breakers.shared_circuits import Ask, SharedCircuits, SharedStep, decode_news, read_news
from app.domain.agent_health import is_sickness
from app.domain.breaker import BreakerRules, Circuit, CircuitState, Move, MoveKind, Step, apply_move
from app.domain.errors import CircuitOpenError, NotFoundError, RecoverableError, RedisUnavailableError
from app.metrics import BREAKER_RECOVERY, BREAKER_REFUSALS, BREAKER_TURNS, ERRORS, LiveMetrics

_log = structlog.stdlib.get_logger(__name__)

#: Copies are compared with Redis this often, whatever the news said.
ROUND_SECONDS = 1.0

#: Redis is looked for again after this pause.
_PAUSE_SECONDS = 0.25

#: A process that has just lost Redis lets no probes through by itself for so long: Redis may only have been slow, and
#: the other processes still count on it.
_ALONE_SECONDS = 2.0

#: Calls of one process ask one after the other whether they may be probes; one that would wait longer is refused.
_ASK_SECONDS = 0.02

#: A probe keeps its place for this long beyond the time that its call was given.
_LEASE_MARGIN_SECONDS = 5.0

_LONGEST_ERROR = 300


class Breakers:
    """Decides which calls pass; safe to use from many threads, and no lock is held during a call.

    `on_turn` is told of each change of state that a move of this process brought about, but for those of operators. It
    must not wait.
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
        self._rules = dict(rules)
        self._shared = shared
        self._metrics = metrics
        self._on_turn = on_turn
        self._clock = clock
        self._circuits = dict.fromkeys(self._rules, Circuit())
        self._guard = threading.Lock()
        self._asking = {agent: threading.Lock() for agent in self._rules}
        #: Probes that Redis may have let through without our hearing of it: their places are given back.
        self._doubtful: dict[str, str] = {}
        #: Whether moves go to Redis; the thread that follows it finds that out, so that no call has to.
        self._in_touch = False
        self._lost_at: float | None = None
        self._probe_names = map(f"{uuid4().hex[:12]}-{{}}".format, itertools.count())
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow_for_ever, name="breakers", daemon=True)

    def start(self) -> None:
        """Begin to follow Redis; until then, and without it, this process is alone."""
        if self._shared is not None and self._thread.ident is None:
            self._thread.start()

    def close(self) -> None:
        """Stop following."""
        self._stopped.set()
        if self._shared is not None:
            # Which also ends the wait for news.
            self._shared.close()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def in_touch(self) -> bool:
        """Whether the circuits are shared with the other processes now."""
        return self._in_touch

    def call(self, agent: str, given_seconds: float) -> ProtectedCall:
        """Return the context of one call, which gets so much time; its end is reported by how the block ends.

        Entering it raises `CircuitOpenError` when the call must not be made.
        """
        return ProtectedCall(self, agent, given_seconds)

    def views(self) -> list[CircuitView]:
        """Return every agent's circuit as this process knows it, in the order of the configuration."""
        return [self.view(agent) for agent in self._rules]

    def view(self, agent: str) -> CircuitView:
        """Return one agent's circuit as this process knows it.

        Raises:
            NotFoundError: There is no such agent.
        """
        rules = self._rules_of(agent)
        return CircuitView.of(agent, self._circuits[agent], rules, self._clock(), in_touch=self._in_touch)

    def operate(self, agent: str, move: Move) -> Turn:
        """Open, close or reset a circuit for all processes; return the change, which `on_turn` is not told of.

        Raises:
            NotFoundError: There is no such agent.
            RedisUnavailableError: The other processes cannot be told; nothing happened, or it is unknown.
        """
        rules = self._rules_of(agent)
        before = self._circuits[agent]
        shared = self._move_shared(agent, move, rules)
        return self._turn(agent, shared.before, shared.step, before.opened_at)

    def _ask_for_probe(self, agent: str, rules: BreakerRules, given_seconds: float) -> tuple[int, str] | None:
        """Return as `admit` does when the call may be a probe, else None."""
        if not self._asking[agent].acquire(timeout=_ASK_SECONDS):
            return None
        try:
            # Another call may have asked meanwhile.
            if self._circuits[agent].surely_refuses(rules, self._clock()) or self._was_just_lost():
                return None
            probe = next(self._probe_names)
            lease_seconds = given_seconds + _LEASE_MARGIN_SECONDS
            step = self._move(agent, Move(MoveKind.ADMIT, probe=probe, seconds=lease_seconds))
        finally:
            self._asking[agent].release()
        if not step.admitted:
            return None
        return step.circuit.generation, probe if probe in step.circuit.probes else ""

    def _was_just_lost(self) -> bool:
        return not self._in_touch and self._lost_at is not None and self._clock() - self._lost_at < _ALONE_SECONDS

    def _rules_of(self, agent: str) -> BreakerRules:
        rules = self._rules.get(agent)
        if rules is None:
            raise NotFoundError(f"there is no agent {agent}")
        return rules

    def admit(self, agent: str, given_seconds: float) -> tuple[int, str]:
        """Let a call pass; return the generation in which it does, and its name if it is a probe, else "".

        Raises:
            CircuitOpenError: The call must not be made.
        """
        circuit = self._circuits[agent]
        if circuit.state is CircuitState.CLOSED:
            return circuit.generation, ""
        rules = self._rules[agent]
        if not circuit.surely_refuses(rules, self._clock()):
            admitted = self._ask_for_probe(agent, rules, given_seconds)
            if admitted is not None:
                return admitted
            circuit = self._circuits[agent]
        self._metrics.count(BREAKER_REFUSALS, agent=agent)
        retry_in = circuit.seconds_until_retry(rules, self._clock())
        raise CircuitOpenError(f"{agent} was not called: its circuit is {circuit.state}, next try in {retry_in:.1f} s")

    def end(self, agent: str, generation: int, probe: str, error: BaseException | None, given_seconds: float) -> None:
        """Note how a call that passed has ended: well when there is no error."""
        circuit = self._circuits[agent]
        if error is None:
            if probe or (circuit.failures and circuit.state is CircuitState.CLOSED):
                self._move(agent, Move(MoveKind.SUCCEED, generation=generation, probe=probe))
        elif is_sickness(error, given_seconds=given_seconds):
            if probe or circuit.generation == generation:
                self._move(
                    agent,
                    Move(
                        MoveKind.FAIL,
                        generation=generation,
                        probe=probe,
                        seconds=(isinstance(error, RecoverableError) and error.retry_after_seconds) or 0.0,
                        error_code=getattr(error, "code", ""),
                        error=str(error)[:_LONGEST_ERROR],
                    ),
                )
        elif probe:
            self._move(agent, Move(MoveKind.RELEASE, probe=probe))

    def _move(self, agent: str, move: Move) -> Step:
        """Do a move in Redis, or alone when it is not there."""
        rules, before = self._rules[agent], self._circuits[agent]
        found = None
        if self._in_touch:
            try:
                found = self._move_shared(agent, move, rules)
            except RedisUnavailableError as error:
                self._lose_touch(str(error))
                if move.kind is MoveKind.ADMIT:
                    self._doubtful[move.probe] = agent
                    return Step(before)
        if found is None:
            with self._guard:
                before = self._circuits[agent]
                found = SharedStep(before.state, apply_move(before, move, rules, self._clock()))
                self._circuits[agent] = found.step.circuit
        if found.step.cause is not None:
            self._on_turn(self._turn(agent, found.before, found.step, before.opened_at))
        return found.step

    def _move_shared(self, agent: str, move: Move, rules: BreakerRules) -> SharedStep:
        if self._shared is None:
            raise RedisUnavailableError("this process does not share its circuits")
        (found,) = self._shared.move([Ask(agent, move, rules, self._circuits[agent])], self._clock())
        self._adopt(agent, found.step.circuit)
        return found

    def _turn(self, agent: str, before: CircuitState, step: Step, opened_at: float | None) -> Turn:
        """Count a change of state, and return it; `opened_at` is since when the circuit had not been closed."""
        circuit, cause = step.circuit, step.cause
        if cause is None:  # pragma: no cover -- a turn has a cause
            raise AssertionError
        turn = Turn(
            agent,
            before,
            circuit.state,
            cause,
            generation=circuit.generation,
            seconds=circuit.span or 0.0,
            reason=circuit.reason,
            error_code=circuit.error_code,
            error=circuit.error,
        )
        if circuit.state is CircuitState.CLOSED and opened_at is not None:
            self._metrics.observe(BREAKER_RECOVERY, self._clock() - opened_at, agent=agent)
        self._metrics.count(BREAKER_TURNS, agent=agent, state=circuit.state, cause=cause)
        _log.warning(
            "circuit_turned", agent=agent, before=before, state=circuit.state, cause=cause, error_code=turn.error_code
        )
        return turn

    def _adopt(self, agent: str, circuit: Circuit) -> None:
        """Take over what Redis says, unless this process has heard newer things."""
        if agent not in self._circuits:
            return
        with self._guard:
            if not self._circuits[agent].is_newer_than(circuit):
                self._circuits[agent] = circuit

    def _lose_touch(self, reason: str) -> None:
        if self._in_touch:
            self._lost_at = self._clock()
            self._in_touch = False
            _log.warning("breakers_alone", reason=reason)

    def _follow_for_ever(self) -> None:
        shared: Final = self._shared
        while shared is not None and not self._stopped.is_set():
            try:
                self._follow(shared)
            except RedisUnavailableError as error:
                self._lose_touch(str(error))
            except Exception:  # noqa: BLE001 -- the edge of the thread: it must go on
                if self._stopped.is_set():
                    # Its connection was closed under it.
                    break
                self._lose_touch("unexpected")
                self._metrics.count(ERRORS, place="breakers")
                _log.exception("breakers_raised")
            self._stopped.wait(_PAUSE_SECONDS)
        self._in_touch = False

    def _follow(self, shared: SharedCircuits) -> None:
        subscription = shared.subscribe()
        try:
            round_at = 0.0
            while not self._stopped.is_set():
                now = self._clock()
                if now >= round_at:
                    self._compare(shared)
                    round_at = now + ROUND_SECONDS
                    if not self._in_touch:
                        self._in_touch = True
                        _log.info("breakers_in_touch")
                for news in read_news(subscription, max(0.0, round_at - self._clock())):
                    self._adopt(*decode_news(news, self._clock()))
        finally:
            subscription.close()

    def _compare(self, shared: SharedCircuits) -> None:
        """Tell Redis what it does not know, and take over what this process does not."""
        now = self._clock()
        doubtful = dict(self._doubtful)
        look = Move(MoveKind.LOOK)
        asks = [Ask(agent, look, self._rules[agent], circuit) for agent, circuit in self._circuits.items()]
        asks += [
            Ask(agent, Move(MoveKind.RELEASE, probe=probe), self._rules[agent], self._circuits[agent])
            for probe, agent in doubtful.items()
        ]
        if asks:
            for ask, found in zip(asks, shared.move(asks, now), strict=True):
                self._adopt(ask.agent, found.step.circuit)
        for probe in doubtful:
            del self._doubtful[probe]


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
