from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from app.breaker_status import CircuitStatus
from app.breakers.circuit_view import CircuitView
from app.cli.main import marketplace
from app.domain.breaker import BreakerRules, Circuit, Move, MoveKind, apply_move
from app.domain.controls import MODE, Mode, QueueState, queue_control
from app.domain.dead_letters import ErrorClass
from app.domain.jobs import JobKind
from app.domain.stuck_plans import StuckCause
from app.recommendations import NEEDED, Findings, OverallStatus, Recommendation, Severity, overall, recommend
from app.storage.agent_calls import CallCounts
from app.storage.controls import Control
from app.storage.job_reads import DeadLetterCount

API = json.loads((Path(__file__).parents[2] / "docs/reference/openapi.json").read_text())


def findings(
    *,
    stuck: dict[StuckCause, int] | None = None,
    controls: dict[str, str] | None = None,
    circuits: Sequence[CircuitStatus] = (),
    everything: bool = False,
) -> Findings:
    """Return what was found where nothing is wrong but this, or where everything is."""
    running = {queue_control(kind): QueueState.RUNNING for kind in JobKind} | {MODE: Mode.QUEUE}
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Findings(
        now=now,
        redis_ok=not everything,
        missing=list(NEEDED) if everything else [],
        stuck=dict.fromkeys(StuckCause, int(everything)) | (stuck or {}),
        controls={name: Control(value, "a look", now, "ana") for name, value in (running | (controls or {})).items()},
        pending=dict.fromkeys(JobKind, 7),
        dead_letters=[
            DeadLetterCount(kind, "network", ErrorClass.RECOVERABLE, 1) for kind in (*JobKind, None) if everything
        ],
        circuits=circuits,
    )


def circuit(*moves: Move, passed: float = 0.0) -> CircuitStatus:
    """Return the circuit of agent kaway so many seconds after these moves, the held ones by olga."""
    found, rules = Circuit(), BreakerRules(failure_threshold=1)
    for move in moves:
        found = apply_move(found, move, rules, 0.0).circuit
    view = CircuitView.of("kaway", found, rules, passed, in_touch=True)
    return CircuitStatus(
        view=view,
        retry_at=None,
        held_by="olga" if view.held else None,
        held_until=None,
        sick_since=None,
        recent=CallCounts(0, 0),
        turns_last_hour=0,
    )


SICK = Move(MoveKind.FAIL, generation=0, error_code="server_error", error="HTTP 500: \x1b[31m")
OPENED = Move(MoveKind.OPEN, seconds=600, reason="they migrate")
HELD_CLOSED = Move(MoveKind.CLOSE, seconds=600, reason="false alarm")


EVERYTHING = recommend(
    findings(
        everything=True,
        controls={MODE: Mode.SYNC, queue_control(JobKind.PHASE1): QueueState.PAUSED},
        circuits=[circuit(SICK), circuit(SICK, passed=61), circuit(OPENED), circuit(HELD_CLOSED)],
    )
)


def test_where_nothing_is_wrong_nothing_is_to_be_done() -> None:
    assert recommend(findings()) == []
    assert overall([]) is OverallStatus.HEALTHY


@pytest.mark.parametrize("cause", sorted(set(StuckCause) - {StuckCause.QUEUE_PAUSED}))
def test_each_cause_has_its_own_action(cause: StuckCause) -> None:
    (advice,) = recommend(findings(stuck={cause: 3}))
    assert (advice.severity, advice.issue, advice.count) == (Severity.CRITICAL, f"stuck_{cause}", 3)
    assert sum(advice.action == other.action for other in EVERYTHING) == 1


def test_plans_that_wait_for_a_paused_queue_are_no_fault_of_theirs() -> None:
    assert recommend(findings(stuck={StuckCause.QUEUE_PAUSED: 3})) == []


@pytest.mark.parametrize(
    ("status", "severity", "issue", "words"),
    [
        (circuit(SICK, passed=18), Severity.WARNING, "circuit_open", ["(server_error)", "by itself in 42 s"]),
        (circuit(SICK, passed=61), Severity.INFO, "circuit_half_open", ["(server_error)", "when 2 succeed"]),
        (circuit(OPENED, passed=60), Severity.WARNING, "circuit_opened_by_hand", ["9m more, by olga (they migrate)"]),
        (circuit(HELD_CLOSED), Severity.INFO, "circuit_held_by_hand", ["10m more, by olga (false alarm)"]),
    ],
    ids=["open", "half-open", "opened-by-hand", "held-closed"],
)
def test_a_circuit_that_is_not_as_usual_is_named_with_what_to_do(
    status: CircuitStatus, severity: Severity, issue: str, words: list[str]
) -> None:
    (advice,) = recommend(findings(circuits=[status]))
    assert (advice.severity, advice.issue, advice.count) == (severity, issue, 1)
    assert [word for word in ["kaway", "marketplace breakers", *words] if word not in advice.action] == []


@pytest.mark.parametrize(
    "status", [circuit(), circuit(HELD_CLOSED, passed=601)], ids=["never-opened", "held-until-before"]
)
def test_a_closed_circuit_asks_for_nothing(status: CircuitStatus) -> None:
    assert recommend(findings(circuits=[status])) == []


def test_what_an_agent_said_stays_out_of_the_advice() -> None:
    assert "HTTP 500" not in recommend(findings(circuits=[circuit(SICK)]))[0].action


def test_every_command_that_is_named_exists() -> None:
    context = click.Context(marketplace)
    commands = {match for advice in EVERYTHING for match in re.findall(r"`marketplace ([a-z -]+)", advice.action)}
    assert commands
    for words in commands:
        command: click.Command | None = marketplace
        for word in words.split(" --")[0].split():
            if word == "kaway":
                assert command is not None
                assert command.params[0].param_type_name == "argument", words
                continue
            assert isinstance(command, click.Group), words
            command = command.get_command(context, word)
            assert command is not None, words


def test_every_call_that_is_named_exists() -> None:
    calls = {match for advice in EVERYTHING for match in re.findall(r"\b(GET|POST|PUT) (/[a-z/]+[a-z])", advice.action)}
    assert calls
    for method, path in calls:
        assert method.lower() in API["paths"][path], path


@pytest.mark.parametrize(
    ("severities", "status"),
    [
        ([Severity.INFO], OverallStatus.HEALTHY),
        ([Severity.INFO, Severity.WARNING], OverallStatus.DEGRADED),
        ([Severity.WARNING, Severity.CRITICAL], OverallStatus.CRITICAL),
    ],
    ids=["info", "warning", "critical"],
)
def test_the_worst_of_them_is_the_overall_status(severities: list[Severity], status: OverallStatus) -> None:
    assert overall([Recommendation(severity, "x", 1, "y") for severity in severities]) is status
