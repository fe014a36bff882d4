"""Issues as rows of the relay's file."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from pydantic import TypeAdapter

from alerting.issues.issue import Issue, Source, SourceKey
from alerting.signals import Path, Signal
from app.domain.alerts import Severity

_SIGNAL = TypeAdapter(Signal)

#: A clock that was set back by less delays a message by less.
_SLACK_SECONDS = 5.0


def load_issue(connection: sqlite3.Connection, key: str) -> tuple[Issue, Signal] | None:
    """Return an issue with the last signal that told of it, or None when it is not known."""
    row = connection.execute("SELECT * FROM issues WHERE issue = ?", (key,)).fetchone()
    if row is None:
        return None
    sources = {
        (Path(found["path"]), found["alert"], found["fingerprint"]): Source(
            severity=Severity(found["severity"]),
            began_at=found["began_at"],
            firing=bool(found["firing"]),
            held_until=found["held_until"],
            ended_at=found["ended_at"],
        )
        for found in connection.execute("SELECT * FROM sources WHERE issue = ?", (key,))
    }
    issue = Issue(
        sources=sources,
        began_at=row["began_at"],
        ended_at=row["ended_at"],
        awaits_notice=bool(row["awaits_notice"]),
        worst_told=_severity(row["worst_told"]),
        last_told=_severity(row["last_told"]),
        told_at=row["told_at"],
        suppressed=row["suppressed"],
        suppressed_since=row["suppressed_since"],
        changed_at=row["changed_at"],
    )
    return issue, _SIGNAL.validate_json(row["signal"])


def save_issue(
    connection: sqlite3.Connection, key: str, issue: Issue, signal: Signal, *, before: Issue, due_at: float
) -> None:
    """Write an issue; of its sources only those that differ from those `before`."""
    connection.execute(
        "INSERT INTO issues VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (issue) DO UPDATE SET"
        " signal = excluded.signal, severity = excluded.severity, began_at = excluded.began_at,"
        " ended_at = excluded.ended_at, awaits_notice = excluded.awaits_notice, worst_told = excluded.worst_told,"
        " last_told = excluded.last_told, told_at = excluded.told_at, suppressed = excluded.suppressed,"
        " suppressed_since = excluded.suppressed_since, changed_at = excluded.changed_at, due_at = excluded.due_at",
        (
            key,
            _SIGNAL.dump_json(signal).decode(),
            issue.severity,
            issue.began_at,
            issue.ended_at,
            issue.awaits_notice,
            issue.worst_told,
            issue.last_told,
            issue.told_at,
            issue.suppressed,
            issue.suppressed_since,
            issue.changed_at,
            due_at,
        ),
    )
    _save_sources(connection, key, before.sources, issue.sources)


def forget_issue(connection: sqlite3.Connection, key: str) -> None:
    """Remove an issue."""
    connection.execute("DELETE FROM issues WHERE issue = ?", (key,))


def due_issues(connection: sqlite3.Connection, now: float, *, limit: int) -> Sequence[str]:
    """Return the keys of issues that time alone changes by now, and of those that were changed in the future."""
    rows = connection.execute(
        "SELECT issue FROM issues WHERE due_at <= ? OR changed_at > ? LIMIT ?", (now, now + _SLACK_SECONDS, limit)
    )
    return [row["issue"] for row in rows]


def open_issues(connection: sqlite3.Connection) -> Mapping[Severity, int]:
    """Return how many issues go on, by their severity now."""
    rows = connection.execute(
        "SELECT severity, count(*) AS issues FROM issues WHERE severity IS NOT NULL GROUP BY severity"
    )
    return dict.fromkeys(Severity, 0) | {Severity(row["severity"]): row["issues"] for row in rows}


def is_firing(connection: sqlite3.Connection, key: str) -> bool:
    """Tell whether an issue goes on."""
    row = connection.execute("SELECT severity FROM issues WHERE issue = ?", (key,)).fetchone()
    return row is not None and row["severity"] is not None


def is_accepted(connection: sqlite3.Connection, notice_id: str, now: float) -> bool:
    """Tell whether a notice was accepted before; from now on it was."""
    added = connection.execute("INSERT OR IGNORE INTO accepted VALUES (?, ?)", (notice_id, now))
    return added.rowcount == 0


def prune_accepted(connection: sqlite3.Connection, before: float, *, limit: int) -> None:
    """Forget ids of notices that were accepted before this time, as many as the limit."""
    connection.execute(
        "DELETE FROM accepted WHERE id IN (SELECT id FROM accepted WHERE at < ? ORDER BY at LIMIT ?)", (before, limit)
    )


def _save_sources(
    connection: sqlite3.Connection, key: str, before: Mapping[SourceKey, Source], after: Mapping[SourceKey, Source]
) -> None:
    for gone in before.keys() - after.keys():
        connection.execute(
            "DELETE FROM sources WHERE issue = ? AND path = ? AND alert = ? AND fingerprint = ?", (key, *gone)
        )
    for source_key, source in after.items():
        if before.get(source_key) != source:
            connection.execute(
                "INSERT OR REPLACE INTO sources VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    key,
                    *source_key,
                    source.severity,
                    source.began_at,
                    source.firing,
                    source.held_until,
                    source.ended_at,
                ),
            )


def _severity(value: str | None) -> Severity | None:
    return None if value is None else Severity(value)
