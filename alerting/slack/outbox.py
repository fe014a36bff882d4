"""The outbox: messages that wait for Slack."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from alerting.messages.cards import Card
from alerting.slack.routes import SEVERITIES


@dataclass(frozen=True)
class Backlog:
    """How many messages Slack has not taken yet, and when the oldest of them was accepted, in seconds since 1970."""

    messages: int
    oldest_at: float | None

    def oldest_seconds(self, now: float) -> float:
        """Return for how long the oldest one has waited."""
        return 0.0 if self.oldest_at is None else max(0.0, now - self.oldest_at)


def add_message(connection: sqlite3.Connection, card: Card, *, now: float) -> int:
    """Put a message into the outbox, in the caller's transaction; return its id. `now` is in seconds since 1970."""
    added = connection.execute(
        "INSERT INTO messages (issue, kind, severity, type, card, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        (card.issue, card.kind, card.severity, card.type, card.model_dump_json(), now),
    )
    assert added.lastrowid is not None  # noqa: S101 -- a row was inserted
    return added.lastrowid


def backlog(connection: sqlite3.Connection, severities: Sequence[str] = SEVERITIES) -> Backlog:
    """Return what waits of these severities; it takes milliseconds, however much that is."""
    messages, oldest = 0, []
    for state in ("waiting", "sending"):
        for severity in severities:
            here = (state, severity)
            counted = connection.execute("SELECT count(*) FROM messages WHERE state = ? AND severity = ?", here)
            messages += counted.fetchone()[0]
            first = connection.execute(
                "SELECT created_at FROM messages WHERE state = ? AND severity = ? ORDER BY id LIMIT 1", here
            ).fetchone()
            oldest += [] if first is None else [first["created_at"]]
    return Backlog(messages, min(oldest, default=None))
