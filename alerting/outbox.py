"""The outbox: messages that wait for Slack."""

from __future__ import annotations

import sqlite3

from alerting.cards import Card


def add_message(connection: sqlite3.Connection, card: Card, *, now: float) -> int:
    """Put a message into the outbox, in the caller's transaction; return its id. `now` is in seconds since 1970."""
    added = connection.execute(
        "INSERT INTO messages (issue, kind, severity, type, card, created_at, next_attempt_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (card.issue, card.kind, card.severity, card.type, card.model_dump_json(), now, now),
    )
    assert added.lastrowid is not None  # noqa: S101 -- a row was inserted
    return added.lastrowid
