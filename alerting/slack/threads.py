"""Threads: the first message of each issue that goes on; later ones are replies to it, and the end edits it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from alerting.messages.cards import Card


@dataclass(frozen=True)
class EndedThread:
    """A first message that is to be edited; `card` tells of the end, unless it is so long ago that it is forgotten."""

    ts: str
    card: Card | None


def open_thread(connection: sqlite3.Connection, channel: str, issue: str) -> str | None:
    """Return the name of the message that those of this issue are replies to."""
    row = connection.execute(
        "SELECT ts FROM threads WHERE issue = ? AND channel = ? AND ended_by IS NULL ORDER BY ts DESC", (issue, channel)
    ).fetchone()
    return None if row is None else str(row["ts"])


def begin_thread(connection: sqlite3.Connection, channel: str, ts: str, issue: str) -> None:
    """Keep the name of the first message of an issue."""
    connection.execute("INSERT OR REPLACE INTO threads (channel, ts, issue) VALUES (?, ?, ?)", (channel, ts, issue))


def next_ended(connection: sqlite3.Connection, channel: str) -> EndedThread | None:
    """Return a thread whose issue has ended, as Slack has been told."""
    row = connection.execute(
        "SELECT ts, card FROM threads LEFT JOIN messages ON messages.id = ended_by"
        " WHERE channel = ? AND ended_by IS NOT NULL ORDER BY ended_by LIMIT 1",
        (channel,),
    ).fetchone()
    if row is None:
        return None
    return EndedThread(row["ts"], None if row["card"] is None else Card.model_validate_json(row["card"]))


def forget_thread(connection: sqlite3.Connection, channel: str, ts: str) -> None:
    """Keep the name no longer."""
    connection.execute("DELETE FROM threads WHERE channel = ? AND ts = ?", (channel, ts))
