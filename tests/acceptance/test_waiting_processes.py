"""Processes that were started before their database: alive, not ready, and at work as soon as it is there."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest
import requests
from pydantic import SecretStr

from app.settings import DatabaseSettings
from app.storage.database import Database
from app.storage.migrate import upgrade
from tests.servers import ended, free_port, wait_until
from tests.web_process import MARKETPLACE, environment


def status_of(port: int, path: str) -> int | None:
    """Return the status that a path is answered with, None while nobody answers."""
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"http://127.0.0.1:{port}{path}", timeout=5).status_code
    return None


@pytest.mark.parametrize("role", ["worker", "scheduler"])
def test_a_process_without_its_database_is_alive_and_becomes_ready(role: str, redis_url: str, tmp_path: Path) -> None:
    url, port = f"sqlite:///{tmp_path / 'marketplace.db'}", free_port()
    given = {
        "DATABASE_URL": url,
        "REDIS_URL": redis_url,
        f"MARKETPLACE_{role.upper()}__METRICS_PORT": str(port),
        "MARKETPLACE_PROCESS__DIRECTORY": str(tmp_path / "processes"),
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [MARKETPLACE, role], env=environment(**given), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    with ended(process):
        wait_until(lambda: status_of(port, "/live") == 200, seconds=30, what="the process to answer")
        assert [status_of(port, path) for path in ("/ready", "/metrics")] == [503, 200]
        database = Database(DatabaseSettings(url=SecretStr(url)))
        upgrade(database)
        database.close()
        wait_until(lambda: status_of(port, "/ready") == 200, seconds=30, what="the process to be ready")
        assert status_of(port, "/live") == 200
