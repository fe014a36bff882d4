"""One database, SQLite (WAL) or PostgreSQL: connections, transactions, and errors in our own words."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

from sqlalchemy import Connection, Engine, Table, create_engine, event, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DatabaseError, DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.domain.errors import ConflictError, DatabaseUnavailableError
from app.settings import DatabaseSettings
from app.storage.clock import SQLITE_CLOCK

#: PostgreSQL limits, in milliseconds: no statement, lock or forgotten transaction may hold others up for longer. No
#: statement of ours runs so long that compiling it would pay.
_POSTGRESQL_OPTIONS = (
    "-c statement_timeout=5000 -c lock_timeout=3000 -c idle_in_transaction_session_timeout=10000 -c jit=off"
    " -c timezone=UTC"
)

#: Longer than most pauses of SQLite's busy handler, which grow to 25 ms within a tenth of a second.
_GIVE_WAY_SECONDS = 0.025

#: Where a connection keeps what is to be done once its transaction has committed.
_AFTER_COMMIT = "marketplace_after_commit"

_IMMEDIATE = {"marketplace_immediate": True}

#: Option of every connection of a database that keeps notices for the relay: the environment that they tell of.
_NOTICES_OF = "marketplace_notices_of"


def _epoch_ms() -> int:
    return time.time_ns() // 1_000_000


class Database:
    """Transactions on one database; safe to use from many threads, not across a fork.

    `notices_of` names the environment when there is a relay that is told what happens in it. `clock` replaces the
    SQLite clock in tests: it returns milliseconds since 1970.
    """

    def __init__(
        self, settings: DatabaseSettings, *, notices_of: str | None = None, clock: Callable[[], int] = _epoch_ms
    ) -> None:
        self._lock_timeout = settings.lock_timeout_seconds
        # SQLite has one writer at a time and no queue for the others: they poll with growing pauses. Within a process a
        # lock of our own wakes the next one at once.
        self._writer = threading.Lock()
        self._clock = clock
        engine = self._create_engine(normal_url(settings.full_url.get_secret_value()), settings)
        self.engine = engine.execution_options(**{_NOTICES_OF: notices_of})

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        """Name of the database system."""
        return "sqlite" if self.engine.dialect.name == "sqlite" else "postgresql"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection in a transaction for reading; always closed.

        Raises:
            DatabaseUnavailableError: The database did not answer.
        """
        with self._translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    def check(self) -> None:
        """Ask the database for nothing but an answer.

        Raises:
            DatabaseUnavailableError: It did not answer.
        """
        with self.read() as connection:
            connection.execute(select(1))

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection in a transaction that may write; commits on leaving, rolls back on any error.

        Raises:
            DatabaseUnavailableError: The database did not answer or stayed locked. When the error came from COMMIT
                itself, the outcome is unknown.
            ConflictError: A constraint refused the write.
        """
        if self.dialect == "postgresql":
            with self._translated(), self.engine.begin() as connection:
                actions = _no_actions(connection)
                yield connection
            _do(actions)
            return
        if not self._writer.acquire(timeout=self._lock_timeout):
            raise DatabaseUnavailableError("the database stayed locked by another thread")
        try:
            with (
                self._translated(),
                self.engine.connect().execution_options(**_IMMEDIATE) as connection,
                connection.begin(),
            ):
                actions = _no_actions(connection)
                yield connection
        finally:
            self._writer.release()
        _do(actions)

    def after_commit(self, connection: Connection, action: Callable[[], None]) -> None:
        """Do this when the transaction of `write` has committed, and never when it has not; it must not fail."""
        connection.info[_AFTER_COMMIT].append(action)

    @contextmanager
    def savepoint(self, connection: Connection) -> Iterator[None]:
        """Undo what is written inside when it raises; the transaction around it can go on.

        Raises:
            ConflictError: A constraint refused the write.
            DatabaseUnavailableError: The database did not answer; the whole transaction is lost.
        """
        with self._translated(), connection.begin_nested():
            yield

    def give_way(self) -> None:
        """Let other writers in, between two writes of many: a waiter of SQLite polls, and would come too late."""
        if self.dialect == "sqlite":
            time.sleep(_GIVE_WAY_SECONDS)

    def insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """Return an INSERT for `table` that knows `on_conflict_do_nothing`, which both databases have."""
        return sqlite.insert(table) if self.dialect == "sqlite" else postgresql.insert(table)

    def ping(self) -> None:
        """Run one trivial statement.

        Raises:
            DatabaseUnavailableError: It did not work.
        """
        with self.read() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every idle connection."""
        self.engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InterfaceError, PoolTimeoutError) as error:
            raise DatabaseUnavailableError(f"{self.dialect}: {_cause(error)}") from error
        except IntegrityError as error:
            raise ConflictError(f"{self.dialect}: {_cause(error)}") from error
        except DBAPIError as error:
            # The bare class is what SQLite raises for a file that is damaged or no database at all.
            if error.connection_invalidated or type(error) is DatabaseError:
                raise DatabaseUnavailableError(f"{self.dialect}: {_cause(error)}") from error
            raise

    def _create_engine(self, url: URL, settings: DatabaseSettings) -> Engine:
        if url.get_backend_name() == "postgresql":
            return create_engine(
                url,
                pool_size=settings.pool_size,
                max_overflow=0,
                pool_timeout=settings.lock_timeout_seconds,
                pool_pre_ping=True,
                connect_args={"options": _POSTGRESQL_OPTIONS, "connect_timeout": 5},
            )
        engine = create_engine(
            url,
            pool_size=settings.pool_size,
            max_overflow=0,
            pool_timeout=settings.lock_timeout_seconds,
            connect_args={"timeout": settings.lock_timeout_seconds, "check_same_thread": False},
        )
        event.listen(engine, "connect", self._prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _prepare_sqlite(self, connection: sqlite3.Connection, _record: object) -> None:
        # The driver's own BEGIN comes too late and is never IMMEDIATE: `_begin_sqlite` sends it instead.
        connection.isolation_level = None
        connection.create_function(SQLITE_CLOCK, 0, self._now)
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={round(self._lock_timeout * 1000)}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def _now(self) -> int:
        return self._clock()


def normal_url(url: str) -> URL:
    """Return the SQLAlchemy URL for what people write: `postgres://` and `postgresql://` mean psycopg 3."""
    parsed = make_url(url)
    if parsed.drivername in {"postgres", "postgresql"}:
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def notices_of(connection: Connection) -> str | None:
    """Return the environment that notices of this transaction tell of; None when nobody is to be told."""
    environment: str | None = connection.get_execution_options().get(_NOTICES_OF)
    return environment


def _no_actions(connection: Connection) -> list[Callable[[], None]]:
    # The connection goes back to the pool with what an earlier transaction left.
    actions: list[Callable[[], None]] = []
    connection.info[_AFTER_COMMIT] = actions
    return actions


def _do(actions: Iterable[Callable[[], None]]) -> None:
    for action in actions:
        action()


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("marketplace_immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _cause(error: Exception) -> str:
    """Return the driver's words, without SQL or parameters, on one line."""
    original = getattr(error, "orig", None) or error
    return " ".join(str(original).split())[:300]
