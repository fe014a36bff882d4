"""The circuit breaker's state machine: one suite for the domain's own and for the script in Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.domain.breaker import LONGEST_PAUSE_SECONDS, BreakerRules, CircuitState, Move, MoveKind, Step, TurnCause
from tests.breakers.circuits import AnyCircuit, CircuitInMemory, CircuitInRedis, circuit_in_redis

RULES = BreakerRules(failure_threshold=3, open_seconds=60, success_threshold=2, half_open_probes=2)
#: How much later than meant a busy machine may look at a time; far less than what is told apart.
LATE_SECONDS = 5.0


@pytest.fixture(params=["memory", "redis"])
def circuit(request: pytest.FixtureRequest) -> Iterator[AnyCircuit]:
    """Return a new circuit."""
    if request.param == "memory":
        yield CircuitInMemory(RULES)
        return
    found = circuit_in_redis(RULES, request.getfixturevalue("redis_url"))
    yield found
    found._shared.close()


def admit(circuit: AnyCircuit, probe: str = "p", seconds: float = 30) -> Step:
    return circuit.move(Move(MoveKind.ADMIT, probe=probe, seconds=seconds))


def end(circuit: AnyCircuit, kind: MoveKind, probe: str = "", *, generation: int | None = None, **more: object) -> Step:
    generation = circuit.circuit.generation if generation is None else generation
    return circuit.move(Move(kind, generation=generation, probe=probe, **more))  # type: ignore[arg-type]


def fail(circuit: AnyCircuit, times: int = 1, **more: object) -> Step:
    for _ in range(times):
        step = end(circuit, MoveKind.FAIL, **more)  # type: ignore[arg-type]
    return step


def opened(circuit: AnyCircuit) -> None:
    assert fail(circuit, 3).cause is TurnCause.FAILURES


def half_opened(circuit: AnyCircuit) -> None:
    """Bring it there, with the probe `first` under way."""
    opened(circuit)
    circuit.pass_time(61)
    assert admit(circuit, "first").admitted


def test_it_opens_after_failures_in_a_row(circuit: AnyCircuit) -> None:
    assert fail(circuit, 2).cause is None
    assert circuit.circuit.state is CircuitState.CLOSED
    step = fail(circuit, error_code="network", error="reset")
    assert (step.cause, circuit.circuit.state) == (TurnCause.FAILURES, CircuitState.OPEN)
    assert (circuit.circuit.error_code, circuit.circuit.error) == ("network", "reset")
    assert circuit.circuit.seconds_left(circuit.now) == pytest.approx(60, abs=LATE_SECONDS)


def test_a_success_between_failures_counts_them_anew(circuit: AnyCircuit) -> None:
    fail(circuit, 2)
    end(circuit, MoveKind.SUCCEED)
    assert circuit.circuit.failures == 0
    assert fail(circuit, 2).cause is None
    assert fail(circuit).cause is TurnCause.FAILURES


def test_no_call_passes_while_it_is_open(circuit: AnyCircuit) -> None:
    opened(circuit)
    circuit.pass_time(58)
    assert not admit(circuit).admitted
    assert circuit.circuit.surely_refuses(RULES, circuit.now)


def test_its_time_over_it_lets_two_probes_through_and_no_third(circuit: AnyCircuit) -> None:
    opened(circuit)
    circuit.pass_time(61)
    assert circuit.circuit.state_at(circuit.now) is CircuitState.HALF_OPEN
    steps = [admit(circuit, name) for name in "abc"]
    assert [step.admitted for step in steps] == [True, True, False]
    assert [step.cause for step in steps] == [TurnCause.TIME_UP, None, None]
    assert circuit.circuit.surely_refuses(RULES, circuit.now)


def test_two_successes_close_it(circuit: AnyCircuit) -> None:
    half_opened(circuit)
    assert end(circuit, MoveKind.SUCCEED, "first").cause is None
    admit(circuit, "second")
    assert end(circuit, MoveKind.SUCCEED, "second").cause is TurnCause.RECOVERED
    assert circuit.circuit.state is CircuitState.CLOSED
    assert circuit.circuit.opened_at is None
    assert admit(circuit).admitted


def test_one_failing_probe_opens_it_again(circuit: AnyCircuit) -> None:
    half_opened(circuit)
    admit(circuit, "second")
    end(circuit, MoveKind.SUCCEED, "second")
    assert end(circuit, MoveKind.FAIL, "first").cause is TurnCause.PROBE_FAILED
    assert not admit(circuit).admitted
    assert circuit.circuit.seconds_left(circuit.now) == pytest.approx(60, abs=LATE_SECONDS)
    circuit.pass_time(61)
    # Successes of the time before do not count.
    admit(circuit, "third")
    assert end(circuit, MoveKind.SUCCEED, "third").cause is None


def test_how_long_it_has_been_sick_counts_from_the_first_opening(circuit: AnyCircuit) -> None:
    half_opened(circuit)
    end(circuit, MoveKind.FAIL, "first")
    opened_at = circuit.circuit.opened_at
    assert opened_at is not None
    assert circuit.now - opened_at == pytest.approx(61, abs=LATE_SECONDS)


def test_a_probe_that_tells_nothing_frees_its_place(circuit: AnyCircuit) -> None:
    half_opened(circuit)
    admit(circuit, "second")
    end(circuit, MoveKind.RELEASE, "second")
    assert circuit.circuit.state is CircuitState.HALF_OPEN
    assert admit(circuit, "third").admitted
    assert not admit(circuit, "fourth").admitted


def test_a_probe_whose_process_died_loses_its_place_in_time(circuit: AnyCircuit) -> None:
    half_opened(circuit)
    admit(circuit, "second", seconds=100)
    assert circuit.circuit.seconds_until_retry(RULES, circuit.now) == pytest.approx(30, abs=LATE_SECONDS)
    circuit.pass_time(25)
    assert not admit(circuit, "third").admitted
    circuit.pass_time(6)
    assert admit(circuit, "fourth").admitted
    # What comes of it after all changes nothing.
    assert end(circuit, MoveKind.FAIL, "first").cause is None
    assert circuit.circuit.state is CircuitState.HALF_OPEN


@pytest.mark.parametrize("kind", [MoveKind.FAIL, MoveKind.SUCCEED])
def test_calls_from_before_it_opened_count_no_more(circuit: AnyCircuit, kind: MoveKind) -> None:
    before = circuit.circuit.generation
    half_opened(circuit)
    assert end(circuit, kind, generation=before).cause is None
    assert (circuit.circuit.state, circuit.circuit.successes) == (CircuitState.HALF_OPEN, 0)
    end(circuit, MoveKind.SUCCEED, "first")
    admit(circuit, "second")
    end(circuit, MoveKind.SUCCEED, "second")
    for _ in range(5):
        end(circuit, kind, generation=before)
    assert (circuit.circuit.state, circuit.circuit.failures) == (CircuitState.CLOSED, 0)


@pytest.mark.parametrize(("asked", "kept"), [(5, 60), (300, 300), (10 * LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)])
def test_the_pause_that_an_agent_asks_for_is_kept_up_to_a_limit(circuit: AnyCircuit, asked: float, kept: float) -> None:
    fail(circuit, 3, seconds=asked)
    assert circuit.circuit.seconds_left(circuit.now) == pytest.approx(kept, abs=LATE_SECONDS)


def test_an_operator_opens_it_for_a_time(circuit: AnyCircuit) -> None:
    step = circuit.move(Move(MoveKind.OPEN, seconds=600, reason="maintenance"))
    assert (step.cause, step.circuit.held, step.circuit.reason) == (TurnCause.OPERATOR, True, "maintenance")
    circuit.pass_time(598)
    assert not admit(circuit).admitted
    circuit.pass_time(3)
    assert admit(circuit).admitted
    assert (circuit.circuit.state, circuit.circuit.held) == (CircuitState.HALF_OPEN, False)


def test_an_operator_holds_it_closed_for_a_time(circuit: AnyCircuit) -> None:
    opened(circuit)
    circuit.move(Move(MoveKind.CLOSE, seconds=100, reason="known"))
    assert fail(circuit, 10).cause is None
    assert admit(circuit).admitted
    circuit.pass_time(101)
    assert fail(circuit, 2).cause is None
    assert fail(circuit).cause is TurnCause.FAILURES
    assert circuit.circuit.reason == ""


def test_an_operator_lets_it_begin_anew(circuit: AnyCircuit) -> None:
    opened(circuit)
    step = circuit.move(Move(MoveKind.RESET))
    assert (step.cause, step.circuit.state, step.circuit.error) == (TurnCause.OPERATOR, CircuitState.CLOSED, "")
    assert fail(circuit, 2).cause is None


def test_looking_changes_nothing(circuit: AnyCircuit) -> None:
    fail(circuit, 2)
    before = circuit.circuit
    assert circuit.move(Move(MoveKind.LOOK)).circuit == before


def test_a_clock_that_was_set_back_keeps_it_open_no_longer_than_meant(circuit: AnyCircuit) -> None:
    opened(circuit)
    circuit.pass_time(-3600)
    circuit.move(Move(MoveKind.LOOK))
    assert circuit.circuit.seconds_left(circuit.now) == pytest.approx(60, abs=LATE_SECONDS)
    circuit.pass_time(61)
    assert circuit.circuit.state_at(circuit.now) is CircuitState.HALF_OPEN


@pytest.fixture
def kept(redis_url: str) -> Iterator[CircuitInRedis]:
    """Return a circuit in Redis."""
    found = circuit_in_redis(RULES, redis_url)
    yield found
    found._shared.close()


def test_redis_takes_back_from_a_process_what_it_has_forgotten(kept: CircuitInRedis) -> None:
    opened(kept)
    known = kept.circuit
    kept.forget()
    assert kept.move(Move(MoveKind.LOOK)).circuit.state is CircuitState.OPEN
    assert kept.circuit.is_newer_than(known) is known.is_newer_than(kept.circuit) is False
    kept.knows_nothing = True
    assert kept.move(Move(MoveKind.LOOK)).circuit.state is CircuitState.OPEN


def test_of_two_copies_the_one_that_has_seen_more_holds(kept: CircuitInRedis) -> None:
    fail(kept, 2)
    old = kept.circuit
    opened_here = CircuitInMemory(RULES)
    opened_here.circuit = old
    fail(opened_here)
    # What an old copy says is no news to Redis; what a newer one says is.
    kept.circuit = opened_here.circuit
    assert kept.move(Move(MoveKind.LOOK)).circuit.state is CircuitState.OPEN
    kept.circuit = old
    assert kept.move(Move(MoveKind.LOOK)).circuit.state is CircuitState.OPEN
