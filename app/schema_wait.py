"""Waiting for the schema: a process may start before, or while, the database is migrated."""

from __future__ import annotations

import threading

import structlog

from app.domain.errors import DatabaseUnavailableError
from app.storage.database import Database
from app.storage.revisions import current_revision, is_migrated

_log = structlog.stdlib.get_logger(__name__)

#: Seconds between two looks.
_PAUSE_SECONDS = 0.05


def wait_for_schema(database: Database, stop: threading.Event) -> bool:
    """Return True once the database has the tables that this version needs, False when `stop` comes first."""
    told = ""
    while not stop.is_set():
        reason = _missing(database)
        if not reason:
            return True
        if reason != told:
            _log.warning("waiting_for_schema", reason=reason)
            told = reason
        stop.wait(_PAUSE_SECONDS)
    return False


def _missing(database: Database) -> str:
    try:
        revision = current_revision(database)
    except DatabaseUnavailableError as error:
        return str(error)
    return "" if is_migrated(revision) else f"the database is at revision {revision}; run: marketplace db upgrade"
