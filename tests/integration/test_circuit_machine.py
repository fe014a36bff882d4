"""Random orders of moves: the script in Redis does as the domain's machine does, and the promises hold for both."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from app.domain.breaker import BreakerRules, CircuitState, Move, MoveKind, Step, TurnCause
from tests.breakers.circuits import CircuitInMemory, CircuitInRedis, circuit_in_redis, comparable

RULES = BreakerRules(failure_threshold=3, open_seconds=60, success_threshold=2, half_open_probes=2)

#: Whole numbers whose sums never meet an edge to the second.
SPANS = st.sampled_from([7, 31, 67, 211])


@dataclass
class Call:
    """A call that was let through, as whoever makes it knows it."""

    name: str
    generation: int
    is_probe: bool
    ends_at: float


class CircuitMachine(RuleBasedStateMachine):
    """Moves both, and keeps books of its own."""

    redis_url = ""

    def __init__(self) -> None:
        super().__init__()
        self.here = CircuitInMemory(RULES)
        self.there: CircuitInRedis = circuit_in_redis(RULES, self.redis_url)
        self.calls: list[Call] = []
        self.count = 0
        self.row = 0
        self.successes = 0
        self.opened_at: float | None = None

    def teardown(self) -> None:
        self.there._shared.close()

    def both(self, move: Move) -> Step:
        step, other = self.here.move(move), self.there.move(move)
        assert comparable(other.circuit, self.there.now) == comparable(step.circuit, self.here.now)
        assert (other.admitted, other.cause) == (step.admitted, step.cause)
        return step

    @rule()
    def call(self) -> None:
        self.count += 1
        name, before = f"call-{self.count}", self.here.circuit
        under_way = [call for call in self.calls if call.is_probe and call.ends_at > self.here.now]
        step = self.both(Move(MoveKind.ADMIT, probe=name, seconds=29))
        if before.state is CircuitState.CLOSED:
            assert step.admitted
        elif self.opened_at is not None and before.state is CircuitState.OPEN:
            assert step.admitted is (before.seconds_left(self.here.now) <= 0)
        if step.admitted:
            is_probe = name in step.circuit.probes
            assert is_probe is (before.state is not CircuitState.CLOSED)
            if is_probe:
                mine = [call for call in under_way if call.generation == step.circuit.generation]
                assert len(mine) < RULES.half_open_probes
            self.calls.append(Call(name, step.circuit.generation, is_probe, self.here.now + 29))
        self.note(step)

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), kind=st.sampled_from([MoveKind.SUCCEED, MoveKind.FAIL, MoveKind.FAIL, MoveKind.RELEASE]))
    def end(self, data: st.DataObject, kind: MoveKind) -> None:
        call = self.calls.pop(data.draw(st.integers(0, len(self.calls) - 1)))
        before = self.here.circuit
        held = before.held and before.seconds_left(self.here.now) > 0
        probe = call.name if call.is_probe else ""
        step = self.both(Move(kind, generation=call.generation, probe=probe, error_code="network", error="reset"))
        counts = call.generation == before.generation and (call.ends_at > self.here.now or not call.is_probe)
        if not counts or kind is MoveKind.RELEASE:
            assert step.cause is None
        elif kind is MoveKind.SUCCEED:
            self.row = 0
            self.successes += call.is_probe
            assert (step.cause is TurnCause.RECOVERED) is (call.is_probe and self.successes == RULES.success_threshold)
        elif call.is_probe:
            assert step.cause is TurnCause.PROBE_FAILED
        elif not held:
            self.row += 1
            assert (step.cause is TurnCause.FAILURES) is (self.row == RULES.failure_threshold)
        self.note(step)

    @rule(seconds=SPANS)
    def wait(self, seconds: int) -> None:
        self.here.pass_time(seconds)
        self.there.pass_time(seconds)

    @rule(seconds=SPANS, kind=st.sampled_from([MoveKind.OPEN, MoveKind.CLOSE, MoveKind.RESET]))
    def operate(self, seconds: int, kind: MoveKind) -> None:
        step = self.both(Move(kind, seconds=seconds, reason="test"))
        assert step.cause is TurnCause.OPERATOR
        self.note(step)

    @rule()
    def lose(self) -> None:
        """Redis comes back empty; the next move brings it what the process knows."""
        self.there.forget()

    def note(self, step: Step) -> None:
        if step.cause is not None:
            self.row = self.successes = 0
            self.opened_at = self.here.now if step.circuit.state is CircuitState.OPEN else None

    @invariant()
    def never_too_many_probes(self) -> None:
        assert sum(ends > self.here.now for ends in self.here.circuit.probes.values()) <= RULES.half_open_probes


def test_redis_and_domain_agree_whatever_happens(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CircuitMachine, "redis_url", redis_url)
    run_state_machine_as_test(
        CircuitMachine,
        settings=settings(
            max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
