"""The messages that wait for one route: which one is next, which become one digest, and how each of them ends.

Only the thread of a route moves its messages on. Ids grow, so "those up to this id" stays the same set while more come.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from alerting.messages.cards import Card, MessageKind
from alerting.slack.routes import SEVERITIES

#: Messages of a digest that are told one by one.
MOST_IN_DIGEST = 40


@dataclass(frozen=True)
class WaitingMessage:
    """A message that is to be sent alone."""

    id: int
    card: Card
    created_at: float
    uncertain: bool


@dataclass(frozen=True)
class Digest:
    """All messages of a route up to the id `upto`, as one: its issues, worst first, and how many of each severity."""

    first: int
    upto: int
    cards: tuple[Card, ...]
    counts: Mapping[str, int]
    since: datetime
    #: Whether one of them may be in Slack already.
    uncertain: bool


def recover(connection: sqlite3.Connection) -> int:
    """Let messages wait again whose attempt the last run did not see the end of; return how many."""
    interrupted = "UPDATE messages SET state = 'waiting', uncertain = 1 WHERE state = 'sending'"
    return connection.execute(interrupted).rowcount


def has_more_than(connection: sqlite3.Connection, severities: Sequence[str], most: int) -> bool:
    """Tell whether more than `most` messages wait."""
    waiting = f"SELECT 1 FROM messages WHERE {_waiting(severities)} LIMIT ?"  # noqa: S608 -- question marks only
    (found,) = connection.execute(f"SELECT count(*) FROM ({waiting})", (*severities, most + 1)).fetchone()  # noqa: S608 -- as above
    return int(found) > most


def next_message(connection: sqlite3.Connection, severities: Sequence[str]) -> WaitingMessage | None:
    """Return the message that is next: the oldest of the worst severity, but never before an older one of its issue."""
    for severity in severities:
        worst = connection.execute(
            "SELECT issue FROM messages WHERE state = 'waiting' AND severity = ? ORDER BY id LIMIT 1", (severity,)
        ).fetchone()
        if worst is not None:
            row = connection.execute(
                "SELECT id, card, created_at, uncertain FROM messages INDEXED BY messages_waiting"  # noqa: S608 -- as above
                f" WHERE issue = ? AND {_waiting(severities)} ORDER BY id LIMIT 1",
                (worst["issue"], *severities),
            ).fetchone()
            return _message(row)
    return None


def oldest(connection: sqlite3.Connection, severities: Sequence[str], *, most: int) -> list[WaitingMessage]:
    """Return the messages that have waited longest."""
    rows = connection.execute(
        f"SELECT id, card, created_at, uncertain FROM messages WHERE {_waiting(severities)} ORDER BY id LIMIT ?",  # noqa: S608 -- as above
        (*severities, most),
    )
    return [_message(row) for row in rows]


def digest_of(connection: sqlite3.Connection, severities: Sequence[str]) -> Digest:
    """Return a digest of all messages that wait, of which there must be one."""
    where = _waiting(severities)
    counts, first, upto, since, uncertain = {}, [], [], [], False
    for row in connection.execute(
        "SELECT severity, count(*) AS messages, min(id) AS first, max(id) AS upto, min(created_at) AS since,"  # noqa: S608 -- as above
        f" max(uncertain) AS uncertain FROM messages WHERE {where} GROUP BY severity",
        severities,
    ):
        counts[row["severity"]] = row["messages"]
        first.append(row["first"])
        upto.append(row["upto"])
        since.append(row["since"])
        uncertain = uncertain or bool(row["uncertain"])
    rank = "CASE severity" + "".join(f" WHEN '{name}' THEN {place}" for place, name in enumerate(SEVERITIES)) + " END"
    # One line for each issue, whatever else it went through meanwhile: the last thing that is known of it.
    issues = connection.execute(
        f"SELECT issue, max(id) AS last, min({rank}) AS worst, max(iif(kind = 'recovery', id, 0)) AS recovery"  # noqa: S608 -- as above
        f" FROM messages WHERE {where} GROUP BY issue ORDER BY worst, recovery = last, min(id) LIMIT ?",
        (*severities, MOST_IN_DIGEST),
    ).fetchall()
    cards = tuple(_summed(connection, row, severities) for row in issues)
    return Digest(min(first), max(upto), cards, counts, datetime.fromtimestamp(min(since), UTC), uncertain)


def _summed(connection: sqlite3.Connection, issue: sqlite3.Row, severities: Sequence[str]) -> Card:
    """Return the last card of an issue for all that wait, with what was suppressed in all."""
    (text,) = connection.execute("SELECT card FROM messages WHERE id = ?", (issue["last"],)).fetchone()
    card = Card.model_validate_json(text)
    messages, own, total, since = connection.execute(
        "SELECT count(*), sum(json_extract(card, '$.occurrences')), sum(json_extract(card, '$.suppressed')),"  # noqa: S608 -- as above
        " min(json_extract(card, '$.suppressed_since'))"
        f" FROM messages INDEXED BY messages_waiting WHERE issue = ? AND {_waiting(severities)}",
        (issue["issue"], *severities),
    ).fetchone()
    since = None if since is None else datetime.fromisoformat(since)
    sums = {"messages": messages, "occurrences": own, "suppressed": total, "suppressed_since": since}
    return card.model_copy(update=sums)


def begin(connection: sqlite3.Connection, message: WaitingMessage) -> None:
    """Note that a message is about to be sent."""
    connection.execute("UPDATE messages SET state = 'sending', attempts = attempts + 1 WHERE id = ?", (message.id,))


def put_back(connection: sqlite3.Connection, message: WaitingMessage, *, uncertain: bool) -> None:
    """Let a message wait again; `uncertain` when Slack may have it already."""
    connection.execute(
        "UPDATE messages SET state = 'waiting', uncertain = uncertain OR ? WHERE id = ?", (uncertain, message.id)
    )


def end(connection: sqlite3.Connection, message: WaitingMessage, state: str, *, now: float) -> None:
    """Be done with a message: it is `sent`, or `refused`."""
    connection.execute("UPDATE messages SET state = ?, sent_at = ? WHERE id = ?", (state, now, message.id))
    if message.card.kind is MessageKind.RECOVERY:
        connection.execute(
            "UPDATE threads SET ended_by = ? WHERE issue = ? AND ended_by IS NULL", (message.id, message.card.issue)
        )


def members(connection: sqlite3.Connection, digest: Digest) -> Iterator[tuple[MessageKind, float]]:
    """Yield the kind of each message of a digest that was sent, and when it was accepted."""
    for row in connection.execute(
        "SELECT kind, created_at FROM messages WHERE id BETWEEN ? AND ? AND digest = ?",
        (digest.first, digest.upto, digest.first),
    ):
        yield MessageKind(row["kind"]), row["created_at"]


def end_digest(connection: sqlite3.Connection, digest: Digest, severities: Sequence[str], *, now: float) -> None:
    """Be done with every message of a digest: they are sent."""
    inside = (*severities, digest.upto)
    recoveries = (
        f"FROM messages INDEXED BY messages_waiting WHERE issue = threads.issue AND {_waiting(severities)} AND id <= ?"
        " AND kind = 'recovery'"
    )
    connection.execute(
        f"UPDATE threads SET ended_by = (SELECT max(id) {recoveries})"  # noqa: S608 -- as above
        f" WHERE ended_by IS NULL AND EXISTS (SELECT 1 {recoveries})",
        (*inside, *inside),
    )
    connection.execute(
        "UPDATE messages SET state = 'sent', sent_at = ?, digest = ?, attempts = attempts + 1"  # noqa: S608 -- as above
        f" WHERE {_waiting(severities)} AND id <= ?",
        (now, digest.first, *inside),
    )


def unlogged(
    connection: sqlite3.Connection, severities: Sequence[str], *, after: int, most: int
) -> list[tuple[int, Card]]:
    """Return the oldest messages after this id that wait and are not in the log yet."""
    rows = connection.execute(
        f"SELECT id, card FROM messages WHERE {_waiting(severities)} AND id > ? AND NOT logged ORDER BY id LIMIT ?",  # noqa: S608 -- as above
        (*severities, after, most),
    )
    return [(row["id"], Card.model_validate_json(row["card"])) for row in rows]


def mark_logged(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Note that these messages are in the log."""
    connection.executemany("UPDATE messages SET logged = 1 WHERE id = ?", [(message,) for message in ids])


def delete_old(connection: sqlite3.Connection, *, before: float, most: int) -> int:
    """Delete messages that were done with before then; return how many."""
    return connection.execute(
        "DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE sent_at < ? LIMIT ?)", (before, most)
    ).rowcount


def _message(row: sqlite3.Row) -> WaitingMessage:
    card = Card.model_validate_json(row["card"])
    return WaitingMessage(row["id"], card, row["created_at"], bool(row["uncertain"]))


def _waiting(severities: Sequence[str]) -> str:
    return f"state = 'waiting' AND severity IN ({', '.join('?' * len(severities))})"
