"""Time in the database: whole milliseconds since 1970, told by the database's own clock.

Several hosts never agree on the time; the one database that all of them write to does.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    Dialect,
    ScalarSelect,
    cast,
    select,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

#: Name of the function that `app.storage.database` registers on every SQLite connection; tests replace its clock.
SQLITE_CLOCK = "marketplace_now_ms"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Timestamp(TypeDecorator[datetime]):
    """Aware UTC `datetime` in Python, BIGINT milliseconds since 1970 in both databases."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 -- the library's signature
        """Return milliseconds since 1970."""
        return None if value is None else (value - _EPOCH) // _MILLISECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 -- the library's signature
        """Return the aware UTC time."""
        return None if value is None else _EPOCH + timedelta(milliseconds=value)


class DatabaseNow(FunctionElement[int]):
    """The database's clock at the moment the statement runs, in milliseconds since 1970."""

    type = BigInteger()
    inherit_cache = True


@compiles(DatabaseNow, "sqlite")
def _sqlite_now(element: DatabaseNow, compiler: SQLCompiler, **kwargs: Any) -> str:  # noqa: ARG001 -- the library's signature
    return f"{SQLITE_CLOCK}()"


@compiles(DatabaseNow, "postgresql")
def _postgresql_now(element: DatabaseNow, compiler: SQLCompiler, **kwargs: Any) -> str:  # noqa: ARG001 -- the library's signature
    # now() stands still within a transaction; clock_timestamp() does not.
    return "(floor(extract(epoch from clock_timestamp()) * 1000)::bigint)"


def database_now(connection: Connection) -> datetime:
    """Return the database's now."""
    return connection.execute(_NOW).scalar_one()


def now_plus(seconds: float | BindParameter[float] = 0.0) -> ColumnElement[int]:
    """Return the SQL expression for the database's now, moved by `seconds`: a number, or a parameter."""
    now = DatabaseNow()
    if isinstance(seconds, BindParameter):
        return now + cast(seconds * 1000, BigInteger)
    return now + round(seconds * 1000) if seconds else now


def once_now_plus(seconds: float = 0.0) -> ScalarSelect[int]:
    """Return the same as a subquery, which a statement reads once.

    PostgreSQL uses no index for a clock that moves while it reads.
    """
    return select(now_plus(seconds)).scalar_subquery()


_NOW = select(type_coerce(now_plus(), Timestamp))
