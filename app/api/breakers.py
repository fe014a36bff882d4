"""Breakers: how the circuit of each agent is, and what an operator does with it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from apiflask import APIBlueprint
from pydantic import BeforeValidator, Field

from app.api.access import caller
from app.api.breaker_shapes import BreakerAnswer, BreakerDetail
from app.api.observation import request_id
from app.api.operation import operation
from app.api.shapes import Answer, Question, Reason, read_integer
from app.api.wiring import runtime
from app.breaker_control import LONGEST_HOLD_SECONDS, SHORTEST_HOLD_SECONDS
from app.domain.roles import Role
from app.storage.paging import MAX_LIMIT

breakers = APIBlueprint("breakers", __name__, url_prefix="/api/marketplace/breakers")

_UNKNOWN = (HTTPStatus.NOT_FOUND,)

#: For how long an operator wants something, in seconds.
HoldSeconds = Annotated[float, Field(strict=True, ge=SHORTEST_HOLD_SECONDS, le=LONGEST_HOLD_SECONDS)]


class BreakerList(Answer):
    """The circuit of every agent."""

    items: list[BreakerAnswer]


class HistoryQuestion(Question):
    """How many of the newest changes are wanted."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), BeforeValidator(read_integer)] = 20


class OpenRequest(Question):
    """For how long no call may pass, and why."""

    seconds: HoldSeconds
    reason: Reason


class CloseRequest(Question):
    """For how long every call passes and no failure counts, by default as long as this circuit stays open; and why."""

    seconds: HoldSeconds | None = None
    reason: Reason


class ResetRequest(Question):
    """Why the circuit is to begin anew."""

    reason: Reason


@operation(breakers, "GET", "", access=Role.VIEWER, answers={200: BreakerList})
def list_breakers() -> BreakerList:
    """Tell how the circuit of every agent is."""
    return BreakerList(items=[BreakerAnswer.of(status) for status in runtime().breaker_status.circuits()])


@operation(
    breakers,
    "GET",
    "/<agent>",
    access=Role.VIEWER,
    query=HistoryQuestion,
    answers={200: BreakerDetail},
    own_problems=_UNKNOWN,
)
def show_breaker(agent: str, query: HistoryQuestion) -> BreakerDetail:
    """Tell how the circuit of an agent is, and its newest changes."""
    return BreakerDetail.with_history(*runtime().breaker_status.circuit(agent, history=query.limit))


@operation(
    breakers,
    "POST",
    "/<agent>/open",
    access=Role.ADMIN,
    body=OpenRequest,
    answers={200: BreakerAnswer},
    own_problems=_UNKNOWN,
)
def open_breaker(agent: str, body: OpenRequest) -> BreakerAnswer:
    """Let no call to an agent pass for a time; then single calls decide whether it is well.

    It needs Redis, as every process must know; without it nothing happens.
    """
    control = runtime().breaker_control
    control.open(agent, seconds=body.seconds, reason=body.reason, by=caller(), request_id=request_id())
    return _answer(agent)


@operation(
    breakers,
    "POST",
    "/<agent>/close",
    access=Role.ADMIN,
    body=CloseRequest,
    answers={200: BreakerAnswer},
    own_problems=_UNKNOWN,
)
def close_breaker(agent: str, body: CloseRequest) -> BreakerAnswer:
    """Let every call to an agent pass for a time, whatever becomes of it; then failures count again.

    It needs Redis, as every process must know; without it nothing happens.
    """
    control = runtime().breaker_control
    control.close(agent, seconds=body.seconds, reason=body.reason, by=caller(), request_id=request_id())
    return _answer(agent)


@operation(
    breakers,
    "POST",
    "/<agent>/reset",
    access=Role.ADMIN,
    body=ResetRequest,
    answers={200: BreakerAnswer},
    own_problems=_UNKNOWN,
)
def reset_breaker(agent: str, body: ResetRequest) -> BreakerAnswer:
    """Close the circuit of an agent and let it count from 0.

    It needs Redis, as every process must know; without it nothing happens.
    """
    runtime().breaker_control.reset(agent, reason=body.reason, by=caller(), request_id=request_id())
    return _answer(agent)


def _answer(agent: str) -> BreakerAnswer:
    status, _ = runtime().breaker_status.circuit(agent)
    return BreakerAnswer.of(status)
