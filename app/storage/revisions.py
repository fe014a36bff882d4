"""Revisions of the schema, told without Alembic: importing it takes longer than a process may take to start."""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text

from app.storage.database import Database

#: Every revision that this version of the product knows, oldest first; a test holds this to `migrations/versions`.
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")

#: The revision that this version needs.
NEWEST = REVISIONS[-1]


def current_revision(database: Database) -> str | None:
    """Return the revision that the database is at, None for an empty one.

    Raises:
        DatabaseUnavailableError: The database did not answer.
    """
    with database.read() as connection:
        return read_revision(connection)


def read_revision(connection: Connection) -> str | None:
    """Return the revision that the database of this connection is at, None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def is_migrated(revision: str | None) -> bool:
    """Tell whether this version of the product can work on a database at this revision.

    One that it does not know comes from a newer version, whose migrations leave room for the one before.
    """
    return revision is not None and (revision == NEWEST or revision not in REVISIONS)
