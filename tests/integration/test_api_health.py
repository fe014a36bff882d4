from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest

from tests.api import Api, api_on, server_process
from tests.servers import free_port, running_valkey, wait_until


def test_redis_is_connected_with_its_latency(api: Api) -> None:
    answer = api.get("/api/health/redis", None)
    assert answer.status_code == 200
    assert set(answer.get_json()) == {"status", "latency"}
    assert answer.get_json()["status"] == "connected"
    assert answer.get_json()["latency"].removesuffix("ms").isdigit()


def test_the_database_is_connected(api: Api) -> None:
    # The first connection to a busy PostgreSQL can take longer than a check waits.
    wait_until(lambda: api.get("/api/health/database", None).status_code == 200, what="the database")
    assert api.get("/api/health/database", None).get_json()["status"] == "connected"


def test_it_is_ready_and_alive(api: Api) -> None:
    assert api.get("/api/health/live", None).get_json() == {"status": "alive"}
    wait_until(lambda: api.get("/api/health/ready", None).status_code == 200, what="readiness")
    answer = api.get("/api/health/ready", None)
    assert answer.get_json() == {"status": "ready", "database": "connected", "redis": "connected"}


def test_without_redis_it_is_ready_still_and_says_so(sqlite_template: Path, tmp_path: Path) -> None:
    with api_on(f"redis://127.0.0.1:{free_port()}/0", sqlite_template, tmp_path) as api:
        answer = api.get("/api/health/redis", None)
        assert (answer.status_code, answer.get_json()) == (503, {"status": "disconnected"})
        answer = api.get("/api/health/ready", None)
        assert (answer.status_code, answer.get_json()["redis"]) == (200, "disconnected")


def test_a_frozen_redis_is_disconnected_within_a_second(sqlite_template: Path, tmp_path: Path) -> None:
    with running_valkey(tmp_path / "valkey") as url, api_on(url, sqlite_template, tmp_path) as api:
        assert api.get("/api/health/redis", None).status_code == 200
        process = server_process(api)
        os.kill(process, signal.SIGSTOP)
        try:
            assert_disconnected_within_a_second(api)
        finally:
            os.kill(process, signal.SIGCONT)


@pytest.mark.parametrize("byte", [b"", b"+", b"$9\r\n"], ids=["silent", "dripping a status", "dripping a text"])
def test_a_redis_that_never_finishes_is_disconnected_within_a_second(
    sqlite_template: Path, tmp_path: Path, byte: bytes
) -> None:
    with dripping_server(byte) as port, api_on(f"redis://127.0.0.1:{port}/0", sqlite_template, tmp_path) as api:
        assert_disconnected_within_a_second(api)


def test_without_a_database_it_is_not_ready(sqlite_template: Path, tmp_path: Path, redis_url: str) -> None:
    with api_on(redis_url, sqlite_template, tmp_path) as api:
        api.lose_database()
        for path, status in (("/api/health/database", "disconnected"), ("/api/health/ready", "not_ready")):
            answer = api.get(path, None)
            assert (answer.status_code, answer.get_json()["status"]) == (503, status)


def test_an_empty_database_is_not_migrated(redis_url: str, sqlite_template: Path, tmp_path: Path) -> None:
    with api_on(redis_url, sqlite_template, tmp_path) as api:
        with api.runtime.database.write() as connection:
            connection.exec_driver_sql("DROP TABLE alembic_version")
        answer = api.get("/api/health/ready", None)
        assert (answer.status_code, answer.get_json()["database"]) == (503, "not_migrated")


def test_without_a_database_calls_are_answered_503_and_may_be_repeated(
    sqlite_template: Path, tmp_path: Path, redis_url: str
) -> None:
    with api_on(redis_url, sqlite_template, tmp_path) as api:
        api.lose_database()
        answer = api.get("/api/marketplace/analysis")
        assert (answer.status_code, answer.get_json()["code"]) == (503, "database_unavailable")
        assert answer.headers["Retry-After"] == "1"
        assert "sqlite" not in answer.get_data(as_text=True)


def assert_disconnected_within_a_second(api: Api) -> None:
    """Ask several times: a busy machine holds up some of the answers, not most of them."""
    seconds = []
    for _ in range(7):
        started = time.monotonic()
        answer = api.get("/api/health/redis", None)
        seconds.append(time.monotonic() - started)
        assert (answer.status_code, answer.get_json()) == (503, {"status": "disconnected"})
    assert median(seconds) < 1.0
    assert max(seconds) < 10.0


@contextmanager
def dripping_server(byte: bytes) -> Iterator[int]:
    """Yield the port of a server that takes connections and sends these bytes again and again, but no answer."""
    stopped = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection:
            while not stopped.wait(0.1):
                try:
                    connection.sendall(byte)
                except OSError:
                    return

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=drip, args=(connection,), daemon=True)
            thread.start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            stopped.set()
            listener.shutdown(socket.SHUT_RDWR)
