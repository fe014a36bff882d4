"""Dead letters of the first revision, after the second one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest
from alembic import command
from pydantic import SecretStr
from sqlalchemy import Connection, Table, column, insert, select, table

from app.domain.jobs import JobKind
from app.settings import DatabaseSettings
from app.storage.database import Database
from app.storage.migrate import _migrating, differences, upgrade
from app.storage.schema import dead_letters, jobs, plans
from tests.letters import FailedJob, failed_job

#: What the second revision has added.
NEW = {"queue", "error_class", "status", "retried_as", "resolved_at", "resolved_by", "resolution_reason"}


@pytest.fixture
def old_database(empty_database_url: str) -> Iterator[Database]:
    """Return a database at the first revision, on SQLite and on PostgreSQL."""
    database = Database(DatabaseSettings(url=SecretStr(empty_database_url)))
    with _migrating(database) as (_, config):
        command.upgrade(config, "0001")
    yield database
    database.close()


def put(connection: Connection, into: Table, row: Mapping[str, Any]) -> None:
    """Insert a row as the version before does, which knows no other columns and no defaults of ours."""
    old = {name: value for name, value in row.items() if into is not dead_letters or name not in NEW}
    connection.execute(insert(table(into.name, *(column(name, into.c[name].type) for name in old))).values(old))


def archive(connection: Connection, reason: str, **attributes: Any) -> FailedJob:
    """Return a job whose dead letter the version before has written."""
    failed = failed_job(reason=reason, **attributes)
    put(connection, plans, failed.plan)
    put(connection, jobs, failed.job)
    put(connection, dead_letters, failed.letter)
    return failed


def test_letters_of_the_first_revision_get_their_status_class_and_queue(old_database: Database) -> None:
    with old_database.write() as connection:
        timed_out = archive(connection, "timeout")
        answered = archive(connection, "bad_answer", kind=JobKind.ANALYSIS)
        crashed = archive(connection, "crash_limit")
        retried = archive(connection, "network")
        follower = retried.job | {"id": uuid4(), "job_id": uuid4(), "generation": 2, "retry_of": retried.job_id}
        put(connection, jobs, follower)

    upgrade(old_database)

    assert differences(old_database) == []
    with old_database.read() as connection:
        found = {row.job_id: row for row in connection.execute(select(dead_letters))}
    assert {job_id: (row.status, row.error_class, row.queue, row.retried_as) for job_id, row in found.items()} == {
        timed_out.job_id: ("waiting", "recoverable", "phase1-tasks", None),
        answered.job_id: ("waiting", "permanent", "analysis", None),
        crashed.job_id: ("waiting", "crash", "phase1-tasks", None),
        retried.job_id: ("retried", "recoverable", "phase1-tasks", follower["job_id"]),
    }


def test_a_letter_that_the_version_before_still_writes_waits(old_database: Database) -> None:
    upgrade(old_database)
    with old_database.write() as connection:
        failed = archive(connection, "timeout")
    with old_database.read() as connection:
        row = connection.execute(select(dead_letters).where(dead_letters.c.job_id == failed.job_id)).one()
    assert (row.status, row.error_class, row.queue) == ("waiting", "permanent", "")
