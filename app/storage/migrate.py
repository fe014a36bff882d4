"""Migrations: bring a database to the schema that this version of the product needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.autogenerate.api import AutogenContext
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from app.storage.clock import Timestamp
from app.storage.database import Database
from app.storage.revisions import REVISIONS, read_revision
from app.storage.schema import Json, metadata

#: Any constant: whoever holds this PostgreSQL advisory lock migrates, the others wait.
_LOCK = 7_264_110_382


def upgrade(database: Database) -> str:
    """Bring the database to the newest revision, and return that; safe to run from several processes at once.

    A revision that this version does not know comes from a newer one, whose migrations leave room for the one before:
    it is left as it is, so that going back to this version works.

    Raises:
        DatabaseUnavailableError: The database did not answer.
    """
    with _migrating(database) as (connection, config):
        found = read_revision(connection)
        if found is not None and found not in REVISIONS:
            return found
        command.upgrade(config, "head")
        return read_revision(connection) or ""


def differences(database: Database) -> list[Any]:
    """Return what the tables in the database lack against `app.storage.schema`; a test holds this empty."""
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts=configure_options())
        return list(compare_metadata(context, metadata))


def configure_options() -> dict[str, Any]:
    """Return what Alembic must know about our schema."""
    return {"target_metadata": metadata, "render_item": _render, "transaction_per_migration": False}


@contextmanager
def _migrating(database: Database) -> Iterator[tuple[Connection, Config]]:
    with database.write() as connection:
        if database.dialect == "postgresql":
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        config = _config()
        config.attributes["connection"] = connection
        yield connection, config


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _render(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:  # noqa: ANN401 -- Alembic's signature
    """Write our own types as the plain ones that they are in the database."""
    if kind == "type" and isinstance(item, Timestamp):
        return "sa.BigInteger()"
    if kind == "type" and item is Json:
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False
