"""What can happen to the database: PostgreSQL restarted, SQLite locked by somebody else."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

from tests.faults.faulty_stack import FaultyStack
from tests.faults.scenario import POSTGRESQL, SQLITE, Scenario

_LOCKED_SECONDS = 10.0


def _restart(stack: FaultyStack, _busy: Callable[[], bool]) -> None:
    assert stack.postgres is not None
    stack.postgres.stop()
    stack.postgres.start()


def _lock(stack: FaultyStack, _busy: Callable[[], bool]) -> None:
    connection = sqlite3.connect(stack.database_url.removeprefix("sqlite:///"), timeout=30, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(_LOCKED_SECONDS)
        connection.execute("ROLLBACK")
    finally:
        connection.close()


RESTART_POSTGRESQL = Scenario("restart-postgresql", "PostgreSQL restarted", _restart, databases=(POSTGRESQL,))
LOCK_SQLITE = Scenario("lock-sqlite", "SQLite locked for 10 s", _lock, databases=(SQLITE,))
