"""The relay's own database: one SQLite file, which works when Redis and PostgreSQL do not.

What was told is in it before its sender gets an answer, and a message stays in it until Slack has taken it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.domain.errors import ConfigurationError, DatabaseUnavailableError

#: Seconds to wait for another process that holds the file; whoever told us something gets 503 and comes again.
_BUSY_SECONDS = 2.0

#: Raised with every change of the tables.
SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    issue TEXT NOT NULL,
    kind TEXT NOT NULL,
    severity TEXT NOT NULL,
    type TEXT NOT NULL,
    -- alerting.messages.cards.Card as JSON.
    card TEXT NOT NULL,
    -- When what it tells of was accepted; all times are seconds since 1970.
    created_at REAL NOT NULL,
    -- waiting, sending, sent, logged (there is no Slack to send it to), or refused (Slack does not take it).
    state TEXT NOT NULL DEFAULT 'waiting',
    attempts INTEGER NOT NULL DEFAULT 0,
    -- When Slack had taken it, or it was set aside.
    sent_at REAL,
    -- The digest that this message went out in: the id of its first message.
    digest INTEGER,
    -- 1 when it was written to the log, because Slack could not be reached.
    logged INTEGER NOT NULL DEFAULT 0,
    -- 1 when Slack may have it already: an attempt ended before there was an answer.
    uncertain INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX messages_state ON messages (state, severity, id);
CREATE INDEX messages_waiting ON messages (issue, id) WHERE state = 'waiting';
CREATE INDEX messages_sent_at ON messages (sent_at) WHERE sent_at IS NOT NULL;

-- Where Slack has the first message of an issue that goes on, with a bot token.
CREATE TABLE threads (
    channel TEXT NOT NULL,
    ts TEXT NOT NULL,
    issue TEXT NOT NULL,
    -- The message that told of its end: the first one is to be edited.
    ended_by INTEGER,
    PRIMARY KEY (channel, ts)
) WITHOUT ROWID;
CREATE INDEX threads_issue ON threads (issue);

-- How each place in Slack is doing: a webhook or a channel, whose key does not give it away.
CREATE TABLE routes (
    key TEXT PRIMARY KEY,
    next_attempt_at REAL NOT NULL DEFAULT 0,
    -- Attempts in a row that failed, and since when.
    failures INTEGER NOT NULL DEFAULT 0,
    failing_since REAL,
    -- Messages up to this id may be in Slack already, in a digest whose answer never came.
    uncertain_upto INTEGER NOT NULL DEFAULT 0,
    -- 1 when the second URL was told that this one fails.
    second_told INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- alerting.issues.issue.Issue; those that ended stay for a day, so that what comes late is known as old.
CREATE TABLE issues (
    issue TEXT PRIMARY KEY,
    -- alerting.signals.Signal as JSON: the last one that told of it.
    signal TEXT NOT NULL,
    -- Of the sources that fire, the worst; NULL when none does.
    severity TEXT,
    began_at REAL,
    ended_at REAL,
    awaits_notice INTEGER NOT NULL,
    worst_told TEXT,
    last_told TEXT,
    told_at REAL,
    suppressed INTEGER NOT NULL,
    suppressed_since REAL,
    changed_at REAL NOT NULL,
    -- When time alone changes something.
    due_at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX issues_due_at ON issues (due_at);
CREATE INDEX issues_changed_at ON issues (changed_at);
CREATE INDEX issues_severity ON issues (severity) WHERE severity IS NOT NULL;

-- alerting.issues.issue.Source
CREATE TABLE sources (
    issue TEXT NOT NULL REFERENCES issues (issue) ON DELETE CASCADE,
    path TEXT NOT NULL,
    alert TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    severity TEXT NOT NULL,
    began_at REAL NOT NULL,
    firing INTEGER NOT NULL,
    held_until REAL,
    ended_at REAL,
    PRIMARY KEY (issue, path, alert, fingerprint)
) WITHOUT ROWID;

-- Ids of the notices that were accepted: a sender that got no answer sends them again.
CREATE TABLE accepted (
    id TEXT PRIMARY KEY,
    at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX accepted_at ON accepted (at);
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
        self._file = file
        self._guard = threading.Lock()
        self._readers = threading.local()
        self._opened: list[sqlite3.Connection] = []
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._writer = self._connect()
            self._create()
        except OSError as error:
            raise ConfigurationError(f"MARKETPLACE_RELAY__FILE: cannot be used ({error.strerror})") from None
        except sqlite3.Error as error:
            raise ConfigurationError(f"MARKETPLACE_RELAY__FILE: cannot be used ({error})") from None
        except DatabaseUnavailableError as error:
            raise ConfigurationError(f"MARKETPLACE_RELAY__FILE: cannot be used ({error})") from None

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection for one transaction, which is committed at the end; one thread at a time.

        Raises:
            DatabaseUnavailableError: The file is locked, full, or cannot be written to: nothing was changed.
        """
        with self._guard, _translated():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                # Some errors, a full disk among them, have ended the transaction already.
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Yield this thread's own connection for reading: one state of the file, whatever is written meanwhile.

        Raises:
            DatabaseUnavailableError: The file cannot be read.
        """
        with _translated():
            connection: sqlite3.Connection | None = getattr(self._readers, "connection", None)
            if connection is None:
                connection = self._readers.connection = self._connect()
                connection.execute("PRAGMA query_only = ON")
                with self._guard:
                    self._opened.append(connection)
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file; nobody may use it any more."""
        with self._guard:
            for connection in (*self._opened, self._writer):
                connection.close()

    def _create(self) -> None:
        with self.write() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA_VERSION:
                raise ConfigurationError(
                    f"MARKETPLACE_RELAY__FILE: a newer version wrote it (schema {version}, known is {SCHEMA_VERSION})"
                )
            if version == 0:
                for statement in (_SCHEMA + _SILENCES).split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            # An answer means that it is on the disk.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise DatabaseUnavailableError(f"the relay's file: {error}") from error
