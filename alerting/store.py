"""The relay's own database: one SQLite file, which works when Redis and PostgreSQL do not.

What was told is in it before its sender gets an answer, and a message stays in it until Slack has taken it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Raised with every change of the tables.
SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    issue TEXT NOT NULL,
    kind TEXT NOT NULL,
    severity TEXT NOT NULL,
    type TEXT NOT NULL,
    -- alerting.cards.Card as JSON.
    card TEXT NOT NULL,
    -- When what it tells of was accepted; all times are seconds since 1970.
    created_at REAL NOT NULL,
    -- waiting, sending, sent, or logged (there is no Slack to send it to).
    state TEXT NOT NULL DEFAULT 'waiting',
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at REAL NOT NULL,
    sent_at REAL,
    -- The digest that this message went out in: the id of its first message.
    digest INTEGER
);
CREATE INDEX messages_state ON messages (state, severity, id);

-- Where Slack has the first message of an issue that goes on, with a bot token.
CREATE TABLE threads (
    issue TEXT PRIMARY KEY,
    channel TEXT NOT NULL,
    ts TEXT NOT NULL,
    message INTEGER NOT NULL
) WITHOUT ROWID;
"""

_SILENCES = """
-- Links that silence an alert, once somebody has used them.
CREATE TABLE silences (
    -- SHA-256 of the link: it works once.
    link TEXT PRIMARY KEY,
    issue TEXT NOT NULL,
    claimed_at REAL NOT NULL,
    -- Alertmanager's id of the silence, and until when it lasts; none while Alertmanager is being asked.
    silence TEXT,
    ends_at REAL
) WITHOUT ROWID;
CREATE INDEX silences_issue ON silences (issue, ends_at);
"""


class Store:
    """The open file; safe to use from many threads."""

    def __init__(self, file: Path) -> None:
        """Open the file, or make it.

        Raises:
            ConfigurationError: It cannot be used, or a newer version wrote it.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        self._guard = threading.Lock()
        self._writer = self._connect()
        self._readers = threading.local()
        with self.write() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in (_SCHEMA + _SILENCES).split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection for one transaction, which is committed at the end; one thread at a time."""
        with self._guard:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        with self._guard:
            self._writer.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        # An answer means that it is on the disk.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection
