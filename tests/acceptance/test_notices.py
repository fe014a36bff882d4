"""The scheduler process tells the relay."""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import requests
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook

from app.domain.alerts import CIRCUIT_OPENED
from app.settings import DatabaseSettings
from app.storage.database import Database
from app.storage.notices import notice_id, tell_firing
from tests.receiver import running_receiver
from tests.servers import ended, free_port, wait_until
from tests.web_process import MARKETPLACE, environment

pytestmark = [
    pytest.mark.process,
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]

SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


@contextmanager
def scheduler(database_url: str, directory: Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    given = environment(
        DATABASE_URL=database_url,
        # Without Redis, which notices do not need.
        REDIS_URL=f"redis://127.0.0.1:{free_port()}/0",
        MARKETPLACE_PROCESS__DIRECTORY=str(directory / "processes"),
        **settings,
    )
    with (directory / "scheduler.log").open("wb") as output:
        process = subprocess.Popen([MARKETPLACE, "scheduler"], env=given, stdout=output, stderr=output)
    with ended(process):
        yield process


def test_a_notice_is_with_the_relay_soon_after_its_commit(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    database = Database(DatabaseSettings(url=SecretStr(database_url)), notices_of="local")
    settings = {"MARKETPLACE_RELAY__EVENTS_SECRET": SECRET, "MARKETPLACE_SCHEDULER__METRICS_PORT": str(port)}
    with running_receiver() as relay:
        settings["MARKETPLACE_RELAY__URL"] = relay.url.removesuffix("/hook")
        with scheduler(database_url, tmp_path, **settings) as process:
            wait_until(lambda: "scheduler_started" in (tmp_path / "scheduler.log").read_text(), what="the scheduler")
            with database.write() as connection:
                identity = notice_id(uuid4())
                tell_firing(connection, identity, CIRCUIT_OPENED, {"agent": "a"}, summary="away", action="none")
            wait_until(lambda: relay.received, seconds=10, what="the notice at the relay")
            assert requests.get(f"http://127.0.0.1:{port}/live", timeout=5).status_code == 200
            wait_until(
                lambda: 'notices_total{outcome="delivered"} 1.0' in _metrics(port), seconds=10, what="the counter"
            )
        assert process.returncode == 0
    database.close()
    (request,) = relay.received
    Webhook(SECRET).verify(request.body, {name.lower(): value for name, value in request.headers.items()})
    assert json.loads(request.body)["data"]["id"] == str(identity)


def test_a_scheduler_that_cannot_sign_does_not_start(database_url: str, tmp_path: Path) -> None:
    with scheduler(database_url, tmp_path, MARKETPLACE_RELAY__URL="http://127.0.0.1:9") as process:
        assert process.wait(20) != 0
    assert "MARKETPLACE_RELAY__EVENTS_SECRET" in (tmp_path / "scheduler.log").read_text()


def _metrics(port: int) -> str:
    return requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
