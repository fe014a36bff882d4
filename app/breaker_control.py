"""What operators do with circuits: open, close, reset; for all processes at once, or not at all.

The move is made within the transaction that writes its audit row and its line of the history: when Redis refuses,
nothing is written. docs/decisions/circuit-breaker.md
"""

from __future__ import annotations

from collections.abc import Mapping

from app.breakers.breakers import Breakers
from app.domain.breaker import Move, MoveKind
from app.domain.roles import Actor
from app.storage.audit import record_audit
from app.storage.breaker_transitions import keep_turn
from app.storage.database import Database

#: For how long an operator may open a circuit, or hold it closed, in seconds: never for good, for that is forgotten.
SHORTEST_HOLD_SECONDS = 1.0
LONGEST_HOLD_SECONDS = 7 * 86_400.0


class BreakerControl:
    """Moves circuits by hand; safe to use from many threads and processes.

    Raises:
        NotFoundError: From every method: there is no such agent.
        RedisUnavailableError: The other processes could not be told; nothing happened, or it is unknown: look, and do
            it again.
        DatabaseUnavailableError: Nothing happened; or, when only the end of the transaction failed, the circuit was
            moved and nobody has written it down: do it again.
    """

    def __init__(self, database: Database, breakers: Breakers) -> None:
        self._database = database
        self._breakers = breakers

    def open(self, agent: str, *, seconds: float, reason: str, by: Actor, request_id: str | None) -> None:
        """Let no call pass for so long; then single calls decide, as after any other opening."""
        self._move(agent, Move(MoveKind.OPEN, seconds=seconds, reason=reason), reason, by, request_id)

    def close(self, agent: str, *, seconds: float | None, reason: str, by: Actor, request_id: str | None) -> None:
        """Let every call pass, and count no failure for so long; None takes the time that this circuit stays open."""
        held = self._breakers.view(agent).rules.open_seconds if seconds is None else seconds
        self._move(agent, Move(MoveKind.CLOSE, seconds=held, reason=reason), reason, by, request_id)

    def reset(self, agent: str, *, reason: str, by: Actor, request_id: str | None) -> None:
        """Close it, and let it count from 0, as if nothing had happened."""
        self._move(agent, Move(MoveKind.RESET), reason, by, request_id)

    def _move(self, agent: str, move: Move, reason: str, by: Actor, request_id: str | None) -> None:
        # Before the database is asked: an agent that there is not needs no transaction.
        self._breakers.view(agent)
        details: Mapping[str, object] | None = {"seconds": move.seconds} if move.seconds else None
        with self._database.write() as connection:
            record_audit(
                connection,
                actor=by.name,
                action=f"breaker.{move.kind}",
                target_type="breaker",
                target_id=agent,
                reason=reason,
                details=details,
                request_id=request_id,
            )
            keep_turn(connection, self._breakers.operate(agent, move), actor=by.name, reason=reason)
