"""The web process, started as users start it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from app.domain.roles import Role
from app.settings import DatabaseSettings
from app.storage.database import Database
from app.tokens import Tokens, new_token
from tests.api import AGENTS
from tests.servers import ended, free_port, wait_until

MARKETPLACE = str(Path(sys.executable).with_name("marketplace"))


@dataclass(frozen=True)
class Web:
    """A running web process."""

    url: str
    token: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def headers(self) -> dict[str, str]:
        """What an administrator sends."""
        return {"Authorization": f"Bearer {self.token}"}


def environment(**settings: str) -> dict[str, str]:
    """Return the environment of a process: what it needs to run, and these settings."""
    inherited = ("PATH", "HOME", "COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")
    return {name: os.environ[name] for name in inherited if name in os.environ} | settings


@contextmanager
def running_web(database_url: str, redis_url: str, directory: Path, **settings: str) -> Iterator[Web]:
    """Yield `marketplace web` on a migrated database, once it is ready."""
    port, token, log = free_port(), new_token(), directory / "web.log"
    database = Database(DatabaseSettings.model_validate({"url": database_url}))
    Tokens(database).adopt("admin", token, Role.ADMIN)
    database.close()
    given = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "PORT": str(port),
        "MARKETPLACE_AGENTS__ITEMS": AGENTS,
        "MARKETPLACE_PROCESS__DIRECTORY": str(directory / "processes"),
        **settings,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [MARKETPLACE, "web"], env=environment(**given), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    with ended(process):
        url = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            with contextlib.suppress(requests.RequestException):
                return requests.get(f"{url}/api/health/ready", timeout=2).status_code == 200
            return False

        wait_until(answers, seconds=30, what=f"the web process; its log: {log}")
        yield Web(url, token, process, log)
