"""Alembic's entry: runs on the connection that `app.storage.migrate` hands over, in its transaction."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from app.storage.migrate import configure_options

connection: Connection = context.config.attributes["connection"]
context.configure(connection=connection, **configure_options())
with context.begin_transaction():
    context.run_migrations()
