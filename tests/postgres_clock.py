"""A clock of PostgreSQL that tests move: a function with the name of its own, found before it."""

from __future__ import annotations

import psycopg

_REPLACE = """
    CREATE SCHEMA replaced;
    CREATE TABLE replaced.clock (ms bigint);
    INSERT INTO replaced.clock VALUES (0);
    CREATE FUNCTION replaced.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS '{now} FROM replaced.clock';
    DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET search_path = replaced, public, pg_catalog', current_database());
    END $$
"""

_SET = "UPDATE replaced.clock SET ms = %s"

_STANDING = "SELECT to_timestamp(ms / 1000.0)"
_SHIFTED = "SELECT pg_catalog.clock_timestamp() + ms * interval ''1 millisecond''"


class PostgresClock:
    """The clock of one database, for every connection that is opened from now on.

    It either stands still at a number of milliseconds since 1970, or goes, shifted by a number of them.
    """

    def __init__(self, url: str, *, stands: bool) -> None:
        self._url = url
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute(_REPLACE.format(now=_STANDING if stands else _SHIFTED))

    def set(self, ms: int) -> None:
        """Set the moment, or the shift; the server may have been restarted since the last time."""
        try:
            self._connection.execute(_SET, (ms,))
        except psycopg.OperationalError:
            self._connection = psycopg.connect(self._url, autocommit=True)
            self._connection.execute(_SET, (ms,))

    def close(self) -> None:
        """Close the connection; the clock stays as it is."""
        self._connection.close()
