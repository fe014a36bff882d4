from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import Insert, insert, select, update

from app.domain.errors import ConflictError, DatabaseUnavailableError
from app.settings import DatabaseSettings
from app.storage.clock import now_plus
from app.storage.database import Database, normal_url
from app.storage.schema import api_tokens


def insert_token(name: str) -> Insert:
    return insert(api_tokens).values(id=uuid4(), name=name, token_hash=name, role="viewer", created_at=now_plus())


def add(database: Database, name: str) -> None:
    with database.write() as connection:
        connection.execute(insert_token(name))


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.scalars(select(api_tokens.c.name).order_by(api_tokens.c.name)).all())


def test_an_error_inside_a_transaction_undoes_it(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            connection.execute(insert_token("half"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert names(database) == []


def test_a_constraint_that_refuses_is_a_conflict(database: Database) -> None:
    add(database, "ana")
    with pytest.raises(ConflictError):
        add(database, "ana")


def test_many_threads_write_one_after_the_other(database: Database) -> None:
    add(database, "counter")

    def count(_number: int) -> None:
        with database.write() as connection:
            before = connection.scalar(select(api_tokens.c.role).with_for_update())
            number = 0 if before == "viewer" else int(before or 0)
            connection.execute(update(api_tokens).values(role=str(number + 1)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(40)))
    with database.read() as connection:
        assert connection.scalar(select(api_tokens.c.role)) == "40"


def test_a_database_that_another_process_keeps_locked_is_unavailable(sqlite_template: Path, tmp_path: Path) -> None:
    path = tmp_path / "locked.db"
    path.write_bytes(sqlite_template.read_bytes())
    database = Database(DatabaseSettings(url=SecretStr(f"sqlite:///{path}"), lock_timeout_seconds=0.1))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailableError, match="locked"):
        add(database, "ana")
    assert names(database) == []
    other.rollback()
    add(database, "ana")
    other.close()
    database.close()


def test_a_thread_that_writes_too_long_keeps_others_out_for_a_bounded_time(
    sqlite_template: Path, tmp_path: Path
) -> None:
    path = tmp_path / "busy.db"
    path.write_bytes(sqlite_template.read_bytes())
    database = Database(DatabaseSettings(url=SecretStr(f"sqlite:///{path}"), lock_timeout_seconds=0.1))
    writing, go_on = threading.Event(), threading.Event()

    def write_long() -> None:
        with database.write():
            writing.set()
            assert go_on.wait(20)

    thread = threading.Thread(target=write_long)
    thread.start()
    assert writing.wait(20)
    with pytest.raises(DatabaseUnavailableError, match="another thread"):
        add(database, "ana")
    go_on.set()
    thread.join(20)
    database.close()


def test_a_damaged_file_is_an_unavailable_database(tmp_path: Path) -> None:
    path = tmp_path / "damaged.db"
    path.write_bytes(b"this is no database" * 100)
    database = Database(DatabaseSettings(url=SecretStr(f"sqlite:///{path}")))
    with pytest.raises(DatabaseUnavailableError, match="not a database"):
        database.ping()
    database.close()


@pytest.mark.parametrize(
    "url", ["postgres://u:p@host/db", "postgresql://u:p@host/db", "postgresql+psycopg://u:p@host/db"]
)
def test_every_usual_postgresql_url_means_psycopg_3(url: str) -> None:
    assert normal_url(url).drivername == "postgresql+psycopg"


def test_times_come_back_aware_and_to_the_millisecond(database: Database) -> None:
    add(database, "ana")
    with database.read() as connection:
        created_at = connection.scalar(select(api_tokens.c.created_at))
    assert created_at is not None
    assert created_at.utcoffset() is not None
    assert created_at.microsecond % 1000 == 0
