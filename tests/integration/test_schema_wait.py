from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import structlog
from pydantic import SecretStr

from app.schema_wait import wait_for_schema
from app.settings import DatabaseSettings
from app.storage.database import Database
from app.storage.migrate import upgrade
from tests.servers import wait_until


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Database]:
    database = Database(DatabaseSettings(url=SecretStr(empty_database_url)))
    yield database
    database.close()


def test_a_process_waits_until_its_database_is_migrated(empty: Database) -> None:
    answers: list[bool] = []
    with structlog.testing.capture_logs() as logs:
        waiting = threading.Thread(target=lambda: answers.append(wait_for_schema(empty, threading.Event())))
        waiting.start()
        wait_until(lambda: logs, what="the process to say that it waits")
        assert answers == []
        upgrade(empty)
        waiting.join(20)
    assert answers == [True]
    assert [(log["event"], "db upgrade" in log["reason"]) for log in logs] == [("waiting_for_schema", True)]


def test_a_process_that_waits_can_be_stopped(empty: Database) -> None:
    stop = threading.Event()
    stop.set()
    assert wait_for_schema(empty, stop) is False


def test_a_database_that_does_not_answer_is_waited_for() -> None:
    database = Database(DatabaseSettings(url=SecretStr("postgresql://nobody@127.0.0.1:1/none")))
    stop = threading.Event()
    answers: list[bool] = []
    with structlog.testing.capture_logs() as logs:
        waiting = threading.Thread(target=lambda: answers.append(wait_for_schema(database, stop)))
        waiting.start()
        wait_until(lambda: logs, what="the process to say that it waits")
        stop.set()
        waiting.join(20)
    assert answers == [False]
    database.close()
