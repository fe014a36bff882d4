"""Queues: what is in them, and the switches that pause, resume and drain them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from apiflask import APIBlueprint
from pydantic import BeforeValidator, WithJsonSchema

from app.api.access import caller
from app.api.observation import request_id
from app.api.operation import operation
from app.api.shapes import Answer, Question, Reason, UtcTime
from app.api.wiring import runtime
from app.controls import QueueStatus
from app.domain.controls import QueueState
from app.domain.jobs import QUEUES, JobKind
from app.domain.roles import Role

queues = APIBlueprint("queue", __name__, url_prefix="/api/marketplace/queue")

_KINDS = {queue: kind for kind, queue in QUEUES.items()}


def _read_queue(value: object) -> JobKind:
    if not isinstance(value, str) or value not in _KINDS:
        raise ValueError(f"must be one of {', '.join(_KINDS)}")
    return _KINDS[value]


#: A queue by its name; inside, the kind of its jobs.
QueueName = Annotated[JobKind, BeforeValidator(_read_queue), WithJsonSchema({"type": "string", "enum": [*_KINDS]})]


class QueueRequest(Question):
    """Which queue, all of them when it is left out, and why."""

    queue: QueueName | None = None
    reason: Reason

    @property
    def kinds(self) -> Collection[JobKind]:
        """The kinds of jobs that are meant."""
        return tuple(JobKind) if self.queue is None else (self.queue,)


class QueueAnswer(Answer):
    """A queue.

    `pendingDelayed` counts the jobs that wait for their next attempt, `nextDueAt` is when the first of them may begin.
    `left` counts the jobs that a drain still waits for, and `hintsWaiting` the hints in Redis; null when there is no
    drain, and when Redis does not tell.
    """

    queue: str
    kind: JobKind
    state: QueueState
    reason: str | None
    changed_at: UtcTime | None
    changed_by: str | None
    pending_due: int
    pending_delayed: int
    next_due_at: UtcTime | None
    active: int
    left: int | None
    oldest_due_seconds: float | None
    hints_waiting: int | None

    @classmethod
    def of(cls, found: QueueStatus) -> QueueAnswer:
        """Return the answer for a queue."""
        return cls(
            queue=found.queue,
            kind=found.kind,
            state=found.state,
            reason=found.control.reason,
            changed_at=found.control.changed_at,
            changed_by=found.control.changed_by,
            pending_due=found.load.due,
            pending_delayed=found.load.delayed,
            next_due_at=found.load.next_due_at,
            active=found.load.active,
            left=found.left,
            oldest_due_seconds=found.oldest_due_seconds,
            hints_waiting=found.hints_waiting,
        )


class QueueList(Answer):
    """Queues, each with its switch and what is in it."""

    items: list[QueueAnswer]


@operation(queues, "GET", "", access=Role.VIEWER, answers={200: QueueList})
def show_queues() -> QueueList:
    """Tell the state of every queue, and what is in it."""
    return _answer(tuple(JobKind))


@operation(queues, "POST", "/pause", access=Role.ADMIN, body=QueueRequest, answers={200: QueueList})
def pause_queue(body: QueueRequest) -> QueueList:
    """Let no worker take jobs; what runs already ends, and what is approved waits."""
    runtime().controls.pause(body.kinds, reason=body.reason, by=caller(), request_id=request_id())
    return _answer(body.kinds)


@operation(queues, "POST", "/resume", access=Role.ADMIN, body=QueueRequest, answers={200: QueueList})
def resume_queue(body: QueueRequest) -> QueueList:
    """Let workers take jobs again, at once."""
    runtime().controls.resume(body.kinds, reason=body.reason, by=caller(), request_id=request_id())
    return _answer(body.kinds)


@operation(queues, "POST", "/drain", access=Role.ADMIN, body=QueueRequest, answers={200: QueueList})
def drain_queue(body: QueueRequest) -> QueueList:
    """Let workers finish what is there; when `left` is 0 the queue becomes `drained`, and takes nothing more.

    New approvals run in place meanwhile and afterwards; new analyses wait. Poll `GET /api/marketplace/queue`.
    """
    runtime().controls.drain(body.kinds, reason=body.reason, by=caller(), request_id=request_id())
    return _answer(body.kinds)


def _answer(kinds: Collection[JobKind]) -> QueueList:
    return QueueList(items=[QueueAnswer.of(found) for found in runtime().controls.queues(kinds)])
