"""The history of the agents' circuit breakers: every change of state, and what the relay is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Connection, delete, func, insert, select

from app.breakers.circuit_view import Turn
from app.domain.alerts import CIRCUIT_OPENED
from app.domain.breaker import CircuitState, TurnCause
from app.storage.clock import now_plus, once_now_plus
from app.storage.notices import is_told_firing, notice_id, tell_firing, tell_resolved
from app.storage.schema import breaker_transitions

#: Changes are kept for so long.
KEPT_SECONDS = 90 * 86_400.0


@dataclass(frozen=True)
class Transition:
    """One change of state; what does not apply is None."""

    id: UUID
    agent: str
    at: datetime
    from_state: CircuitState
    to_state: CircuitState
    cause: TurnCause
    seconds: float | None
    actor: str | None
    reason: str | None
    error_code: str | None
    error: str | None


def keep_turn(connection: Connection, turn: Turn, *, actor: str | None = None, reason: str | None = None) -> None:
    """Write one change of state; `actor` is the operator who wanted it, for this reason."""
    transition_id = uuid4()
    failed = turn.cause in (TurnCause.FAILURES, TurnCause.PROBE_FAILED)
    connection.execute(
        insert(breaker_transitions).values(
            id=transition_id,
            agent=turn.agent,
            at=now_plus(),
            from_state=turn.before,
            to_state=turn.after,
            cause=turn.cause,
            generation=turn.generation,
            seconds=turn.seconds or None,
            actor=actor,
            reason=reason or turn.reason or None,
            error_code=(failed and turn.error_code) or None,
            error=(failed and turn.error) or None,
        )
    )
    _tell(connection, turn, transition_id, actor)


def newest_transitions(
    connection: Connection, *, agent: str | None = None, cause: TurnCause | None = None, limit: int
) -> list[Transition]:
    """Return the newest changes, of one agent or of all, for one cause or for any, newest first."""
    table = breaker_transitions
    query = select(table).order_by(table.c.at.desc(), table.c.generation.desc(), table.c.id.desc()).limit(limit)
    if agent is not None:
        query = query.where(table.c.agent == agent)
    if cause is not None:
        query = query.where(table.c.cause == cause)
    return [
        Transition(
            id=row.id,
            agent=row.agent,
            at=row.at,
            from_state=CircuitState(row.from_state),
            to_state=CircuitState(row.to_state),
            cause=TurnCause(row.cause),
            seconds=row.seconds,
            actor=row.actor,
            reason=row.reason,
            error_code=row.error_code,
            error=row.error,
        )
        for row in connection.execute(query)
    ]


def count_transitions(connection: Connection, *, within_seconds: float) -> Mapping[str, int]:
    """Return how many changes each agent's circuit made within the last seconds; none that made none."""
    counted = (
        select(breaker_transitions.c.agent, func.count().label("changes"))
        .where(breaker_transitions.c.at > once_now_plus(-within_seconds))
        .group_by(breaker_transitions.c.agent)
    )
    return {row.agent: row.changes for row in connection.execute(counted)}


def forget_transitions(connection: Connection) -> int:
    """Delete what has been kept for long enough; returns how many."""
    return connection.execute(
        delete(breaker_transitions).where(breaker_transitions.c.at <= once_now_plus(-KEPT_SECONDS))
    ).rowcount


def _tell(connection: Connection, turn: Turn, transition_id: UUID, actor: str | None) -> None:
    """Tell that a circuit has opened, or closed; one that opens again after a probe is the same story."""
    subject = {"agent": turn.agent}
    if turn.after is CircuitState.CLOSED:
        tell_resolved(
            connection,
            CIRCUIT_OPENED,
            subject,
            summary=f"Calls to the agent {turn.agent} pass again",
            agent=turn.agent,
        )
        return
    again = turn.before is not CircuitState.CLOSED and is_told_firing(connection, CIRCUIT_OPENED, subject)
    if turn.after is not CircuitState.OPEN or again:
        return
    by_hand = turn.cause is TurnCause.OPERATOR
    tell_firing(
        connection,
        notice_id(transition_id),
        CIRCUIT_OPENED,
        subject,
        summary=f"{actor or 'An operator'} opened the circuit of the agent {turn.agent}"
        if by_hand
        else f"The circuit of the agent {turn.agent} opened: too many calls in a row failed",
        agent=turn.agent,
        error_code=None if by_hand else turn.error_code or None,
        error=(turn.reason if by_hand else turn.error) or None,
        action=f"Calls to it are refused for {turn.seconds:g} s, then single calls probe it."
        " Its last good answers stand in.",
    )
