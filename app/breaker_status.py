"""How the agents' circuits are, for operators: what this process follows, and what the database has of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from app.breakers.breakers import Breakers
from app.breakers.circuit_view import CircuitView
from app.domain.breaker import TurnCause
from app.storage.agent_calls import CallCounts, count_calls
from app.storage.breaker_transitions import Transition, count_transitions, newest_transitions
from app.storage.clock import database_now
from app.storage.database import Database

#: How far back error rates look, and how far back changes of a circuit are counted, in seconds.
RATE_SECONDS = 300.0
TURNS_SECONDS = 3600.0


@dataclass(frozen=True)
class CircuitStatus:
    """One agent's circuit at one moment of the database's clock."""

    view: CircuitView
    retry_at: datetime | None
    """When a call may pass at the earliest; None for now."""
    held_by: str | None
    """Who opened it or holds it closed; None when nobody does, or it is not written yet."""
    held_until: datetime | None
    sick_since: datetime | None
    """When it opened first since it was closed; None while it is closed."""
    recent: CallCounts
    """Calls of the last `RATE_SECONDS`."""
    turns_last_hour: int
    """Changes of its state."""


class BreakerStatus:
    """Tells how circuits are; safe to use from many threads.

    Raises:
        DatabaseUnavailableError: From every method.
    """

    def __init__(self, database: Database, breakers: Breakers) -> None:
        self._database = database
        self._breakers = breakers

    def circuits(self) -> list[CircuitStatus]:
        """Return every agent's circuit, in the order of the configuration."""
        with self._database.read() as connection:
            return self.read(connection)

    def circuit(self, agent: str, *, history: int = 0) -> tuple[CircuitStatus, Sequence[Transition]]:
        """Return one agent's circuit, and so many of its newest changes at most, newest first.

        Raises:
            NotFoundError: There is no such agent.
        """
        view = self._breakers.view(agent)
        with self._database.read() as connection:
            (status,) = self._statuses(connection, [view])
            return status, newest_transitions(connection, agent=agent, limit=history) if history else []

    def read(self, connection: Connection) -> list[CircuitStatus]:
        """Return the same as `circuits`, over a connection that is open already."""
        return self._statuses(connection, self._breakers.views())

    def _statuses(self, connection: Connection, views: Iterable[CircuitView]) -> list[CircuitStatus]:
        now = database_now(connection)
        calls = count_calls(connection, within_seconds=RATE_SECONDS)
        turns = count_transitions(connection, within_seconds=TURNS_SECONDS)

        def after(seconds: float | None) -> datetime | None:
            return None if seconds is None else now + timedelta(seconds=seconds)

        return [
            CircuitStatus(
                view=view,
                retry_at=after(view.seconds_until_retry or None),
                held_by=_operator(connection, view.agent) if view.held else None,
                held_until=after(view.held_seconds) if view.held else None,
                sick_since=after(None if view.sick_seconds is None else -view.sick_seconds),
                recent=calls.get(view.agent, CallCounts(0, 0)),
                turns_last_hour=turns.get(view.agent, 0),
            )
            for view in views
        ]


def _operator(connection: Connection, agent: str) -> str | None:
    """Return who moved this circuit last."""
    moves = newest_transitions(connection, agent=agent, cause=TurnCause.OPERATOR, limit=1)
    return moves[0].actor if moves else None
