"""Recommendations: what is wrong, how much of it, and the next action, as a command or a call that exists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.breaker_status import CircuitStatus
from app.domain.breaker import CircuitState
from app.domain.controls import HELD, MODE, Mode, queue_control
from app.domain.jobs import QUEUES, JobKind
from app.domain.processes import ProcessRole
from app.domain.spans import format_span
from app.domain.stuck_plans import StuckCause
from app.storage.controls import Control
from app.storage.job_reads import DeadLetterCount


class Severity(StrEnum):
    """How soon somebody should act; each one is worse than those before it."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class OverallStatus(StrEnum):
    """The worst recommendation, in one word."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    CRITICAL = "critical"


@dataclass(frozen=True)
class Recommendation:
    """Something that is wrong, how much of it, and what to do."""

    severity: Severity
    issue: str
    count: int
    action: str


@dataclass(frozen=True)
class Findings:
    """What the recommendations are drawn from, at one moment of the database's clock."""

    now: datetime
    redis_ok: bool
    #: Roles of which no process runs.
    missing: Sequence[ProcessRole]
    stuck: Mapping[StuckCause, int]
    controls: Mapping[str, Control]
    #: Jobs that wait to be claimed.
    pending: Mapping[JobKind, int]
    dead_letters: Sequence[DeadLetterCount]
    circuits: Sequence[CircuitStatus]


_RECOVER = "POST /api/marketplace/analysis/recover"
_START_SCHEDULER = "see that a scheduler runs (`marketplace scheduler`)"

#: What to do when no process of a role runs.
NEEDED = {
    ProcessRole.WORKER: "Start a worker (`marketplace worker`) or restart the stack: until one runs, jobs wait.",
    ProcessRole.SCHEDULER: "Start a scheduler (`marketplace scheduler`) or restart the stack: until one runs, "
    "retries wait, lost jobs stay lost, and no event is delivered.",
}

#: What to do about stuck plans of each cause; each of them is critical.
_STUCK = {
    StuckCause.NO_JOB: (
        f"The scheduler gives them a job within seconds. If they stay, {_START_SCHEDULER}, or {_RECOVER} with {{}}."
    ),
    StuckCause.WAITING: (
        "No worker takes their jobs: see that workers run (`marketplace worker`) and have free threads."
    ),
    StuckCause.RETRY_OVERDUE: (
        "No worker takes the next attempt of their jobs: see that workers run (`marketplace worker`) and have free "
        "threads."
    ),
    StuckCause.PAST_DEADLINE: (
        "The total time of their jobs is over, and one more attempt ends them: see that workers run "
        "(`marketplace worker`) and have free threads."
    ),
    StuckCause.OVERRUN: (
        "Their jobs run for longer than they may: `marketplace jobs show` names the worker of each; restart it."
    ),
    StuckCause.LEASE_EXPIRED: f"Nobody takes back the jobs of workers that died: {_START_SCHEDULER}.",
    StuckCause.NOT_LATCHED: (
        "Their jobs have ended, and the plans do not know: read them (`marketplace plans show`) and report the defect."
    ),
    StuckCause.NO_DEAD_LETTER: (
        f"The scheduler writes the missing dead letters within seconds. If they stay, {_START_SCHEDULER}; report the "
        "defect in any case."
    ),
}

_LIST = "marketplace dead-letters list"
_RETRY = "marketplace dead-letters retry"

#: What to do about dead letters of each kind of job, and about messages, which have none.
_DEAD_LETTERS: tuple[tuple[JobKind | None, str, str], ...] = (
    (
        JobKind.PHASE1,
        "tasks_not_created",
        f"Read the errors (`{_LIST} --kind phase1`), mend the cause, then `{_RETRY} --kind phase1`.",
    ),
    (
        JobKind.ANALYSIS,
        "analyses_failed",
        f"Read the errors (`{_LIST} --kind analysis`), mend the cause, then `{_RETRY} --kind analysis`.",
    ),
    (
        None,
        "messages_unreadable",
        f"Find out who sent them (`{_LIST} --error-class message`, then `show`), then discard them.",
    ),
)


def recommend(found: Findings) -> list[Recommendation]:
    """Return what to do: first what stops everything, last what waits for a person."""
    advice = [Recommendation(Severity.CRITICAL, f"no_{role}_running", 1, NEEDED[role]) for role in found.missing]
    if not found.redis_ok:
        advice.append(
            Recommendation(
                Severity.CRITICAL,
                "redis_disconnected",
                1,
                "Bring Redis back. Nothing is lost: meanwhile approvals run their jobs in place, and the scheduler "
                "runs what waits, a few at a time, but not from a paused queue.",
            )
        )
    advice += [
        Recommendation(Severity.CRITICAL, f"stuck_{cause}", found.stuck[cause], action)
        for cause, action in _STUCK.items()
        if found.stuck[cause]
    ]
    for kind, issue, action in _DEAD_LETTERS:
        count = sum(letters.count for letters in found.dead_letters if letters.kind is kind)
        if count:
            advice.append(Recommendation(Severity.WARNING, issue, count, action))
    circuits = [advised for status in found.circuits if (advised := _of_circuit(status))]
    return [*advice, *circuits, *_switches_to_turn_back(found)]


def _of_circuit(status: CircuitStatus) -> Recommendation | None:
    """Return what to do about an agent's circuit; None when it is closed and nobody holds it."""
    view = status.view
    look = f"`marketplace breakers show {view.agent}`"
    reset = f"`marketplace breakers reset {view.agent} --reason TEXT`"
    if view.held:
        span = f"for {format_span(view.held_seconds)} more, by {status.held_by or 'somebody'} ({view.reason})"
        if view.state is CircuitState.CLOSED:
            action = f"Agent {view.agent} is called whatever becomes of it {span}. {reset} lets failures count again."
            return Recommendation(Severity.INFO, "circuit_held_by_hand", 1, action)
        action = f"Agent {view.agent} is not called {span}; its last good answers stand in. {reset} lets calls pass."
        return Recommendation(Severity.WARNING, "circuit_opened_by_hand", 1, action)
    cause = f" ({view.error_code})" if view.error_code else ""
    if view.state is CircuitState.OPEN:
        action = (
            f"Agent {view.agent} is not called since its calls failed{cause}; its last good answers stand in. See "
            f"whether it runs, and what it answers: {look}. It is tried again by itself in "
            f"{view.seconds_until_retry:.0f} s; when it is well before, {reset}."
        )
        return Recommendation(Severity.WARNING, "circuit_open", 1, action)
    if view.state is CircuitState.HALF_OPEN:
        action = (
            f"Agent {view.agent} is tried again by single calls{cause}: the circuit closes by itself when "
            f"{view.rules.success_threshold} succeed. {look} tells how many have."
        )
        return Recommendation(Severity.INFO, "circuit_half_open", 1, action)
    return None


def _switches_to_turn_back(found: Findings) -> Iterator[Recommendation]:
    """Yield what operators have switched and may have forgotten."""
    for kind, queue in QUEUES.items():
        control = found.controls[queue_control(kind)]
        if control.value in HELD:
            yield Recommendation(
                Severity.WARNING,
                "queue_paused",
                found.pending[kind],
                f"Queue {queue} has been {control.value}{_since(control, found.now)}. When the cause is mended, "
                "POST /api/marketplace/queue/resume.",
            )
    if found.controls[MODE].value == Mode.SYNC:
        yield Recommendation(
            Severity.INFO,
            "mode_sync",
            1,
            f"Phase 1 jobs have run in place{_since(found.controls[MODE], found.now)}. When the queue is well, "
            'PUT /api/marketplace/mode with "queue".',
        )


def _since(control: Control, now: datetime) -> str:
    """Return for how long, by whom and why a switch has stood where it does, to follow a clause."""
    if control.changed_at is None:
        return ""
    seconds = (now - control.changed_at).total_seconds()
    return f" for {seconds:.0f} s, by {control.changed_by} ({control.reason})"


def overall(recommendations: Sequence[Recommendation]) -> OverallStatus:
    """Return the worst of them in one word."""
    severities = {recommendation.severity for recommendation in recommendations}
    if Severity.CRITICAL in severities:
        return OverallStatus.CRITICAL
    return OverallStatus.DEGRADED if Severity.WARNING in severities else OverallStatus.HEALTHY
