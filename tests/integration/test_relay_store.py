"""The relay's file: what it refuses to open, and what a transaction leaves behind."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from alerting.committer import Committer
from alerting.store import SCHEMA_VERSION, Store
from app.domain.errors import ConfigurationError, DatabaseUnavailableError

ADD = "INSERT INTO accepted VALUES (?, 0)"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "relay.db")) as store:
        yield store


def ids(store: Store) -> list[str]:
    with store.read() as connection:
        return [row["id"] for row in connection.execute("SELECT id FROM accepted ORDER BY id")]


def add_and(store: Store, then: Callable[[sqlite3.Connection], object]) -> None:
    with store.write() as connection:
        connection.execute(ADD, ("a",))
        then(connection)


def test_a_file_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "relay.db")) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(ConfigurationError, match=r"RELAY__FILE: a newer version wrote it"):
        Store(tmp_path / "relay.db")


@pytest.mark.parametrize("content", [b"no database at all" * 1000, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "relay.db"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"RELAY__FILE: cannot be used"):
        Store(file)
    assert file.read_bytes() == content


def test_a_place_where_no_file_can_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "file" / "relay.db"):
        with pytest.raises(ConfigurationError, match=r"RELAY__FILE: cannot be used"):
            Store(place)


def test_a_file_is_opened_again_with_what_is_in_it(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with closing(Store(tmp_path / "relay.db")) as store, store.write() as connection:
            connection.execute(ADD, (name,))
    with closing(Store(tmp_path / "relay.db")) as store:
        assert ids(store) == ["a", "b"]


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(DatabaseUnavailableError):
        add_and(store, lambda connection: connection.execute("SELECT * FROM nothing"))
    with pytest.raises(ZeroDivisionError):
        add_and(store, lambda _: 1 / 0)
    assert ids(store) == []


def test_readers_see_one_state_and_cannot_write(store: Store) -> None:
    with store.read() as reading:
        assert reading.execute("SELECT count(*) FROM accepted").fetchone()[0] == 0
        with store.write() as connection:
            connection.execute(ADD, ("a",))
        assert reading.execute("SELECT count(*) FROM accepted").fetchone()[0] == 0
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reading.execute(ADD, ("b",))
    assert ids(store) == ["a"]


def test_one_that_is_at_fault_does_not_take_those_along_that_share_its_transaction(store: Store) -> None:
    committer, gate = Committer(store), threading.Event()
    outcomes: dict[str, object] = {}

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute(ADD, ("broken",))
        raise ZeroDivisionError

    def commit(name: str) -> None:
        try:
            work = fail if name == "broken" else lambda connection: connection.execute(ADD, (name,)) and None
            committer.commit(work)
            outcomes[name] = "committed"
        except ZeroDivisionError:
            outcomes[name] = "failed"

    blocking = threading.Thread(target=committer.commit, args=(lambda _: gate.wait(4),))
    blocking.start()
    threads = [threading.Thread(target=commit, args=(name,)) for name in ("a", "broken", "b")]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in (blocking, *threads):
        thread.join(20)
    committer.stop()
    assert outcomes == {"a": "committed", "broken": "failed", "b": "committed"}
    assert ids(store) == ["a", "b"]


def test_nobody_waits_for_ever_and_what_nobody_waits_for_is_not_done(store: Store) -> None:
    committer, gate, entered = Committer(store, patience_seconds=0.2), threading.Event(), threading.Event()

    def hold(_connection: sqlite3.Connection) -> None:
        entered.set()
        gate.wait(20)

    def commit_held() -> None:
        with pytest.raises(DatabaseUnavailableError):
            committer.commit(hold)

    holding = threading.Thread(target=commit_held)
    holding.start()
    assert entered.wait(20)
    with pytest.raises(DatabaseUnavailableError, match="no commit in time"):
        committer.commit(lambda connection: connection.execute(ADD, ("late",)))
    gate.set()
    holding.join(20)
    committer.stop()
    assert ids(store) == []
