"""Processes of the product with six agents and an endpoint each: alone with their metrics, or all in one directory."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from prometheus_client.core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from app.cli.remote import Remote
from app.domain.roles import Role
from app.settings import DatabaseSettings
from app.shared_metrics import DIRECTORY_VARIABLE, empty_directory
from app.storage.database import Database
from app.tokens import Tokens, new_token
from deploy.local.agents_program import CHANNELS
from tests.servers import end, free_port, wait_until
from tests.web_process import MARKETPLACE, environment

#: What is started, by name.
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "web": ("web",),
    "worker": ("worker",),
    "quarantine": ("worker", "--quarantine"),
    "scheduler": ("scheduler",),
}
ROLES = tuple(COMMANDS)

#: A process starts in 3 s; a machine that is busy with other things may need far longer.
_START_SECONDS = 60.0


@dataclass(frozen=True)
class _Running:
    process: subprocess.Popen[bytes]
    url: str
    metrics_url: str


class ObservedProcesses:
    """One process of each role; `shared` tells whether they count into one directory."""

    def __init__(
        self, directory: Path, database_url: str, redis_url: str, agents_url: str, *, shared: bool, **settings: str
    ) -> None:
        self.shared = shared
        self.token = new_token()
        self.directory = directory
        self.metrics_directory = directory / "metrics"
        database = Database(DatabaseSettings.model_validate({"url": database_url}))
        Tokens(database).adopt("admin", self.token, Role.ADMIN)
        database.close()
        agents = [
            {"name": name, "channel": name, "protocol": "http", "url": f"{agents_url}/{name}/analyse"}
            for name in CHANNELS
        ]
        self._environment = environment(
            DATABASE_URL=database_url,
            REDIS_URL=redis_url,
            MARKETPLACE_AGENTS__ITEMS=json.dumps(agents),
            MARKETPLACE_OUTBOUND__ALLOW_PRIVATE_AGENTS="true",
            MARKETPLACE_PROCESS__DIRECTORY=str(directory / "processes"),
            # A scrape tells every level, however busy the machine.
            MARKETPLACE_WEB__LEVELS_BUDGET_SECONDS="10",
            MARKETPLACE_WEB__LEVELS_CACHE_SECONDS="0",
            **({DIRECTORY_VARIABLE: str(self.metrics_directory)} if shared else {}),
            **settings,
        )
        self._running: dict[str, _Running] = {}

    @property
    def api(self) -> Remote:
        """The API, as admin."""
        return Remote(self._running["web"].url, self.token, direct=True)

    def start(self, *roles: str) -> None:
        """Start these processes, and wait until their endpoints answer."""
        if self.shared and not self._running:
            empty_directory(self.metrics_directory)
        for role in roles:
            self._running[role] = self._start(role)
        for role in roles:
            wait_until(lambda role=role: self._answers(role), seconds=_START_SECONDS, what=role)  # type: ignore[misc]

    def stop(self, *roles: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End these processes, by their own ids."""
        for role in roles:
            self._running[role].process.send_signal(number)
        for role in roles:
            end(self._running.pop(role).process, seconds=30)

    def close(self) -> None:
        """End what runs."""
        self.stop(*self._running)

    def scrape(self, role: str, accept: str = "text/plain") -> str:
        """Return what the endpoint of this process tells."""
        answer = requests.get(self._running[role].metrics_url, headers={"Accept": accept}, timeout=20)
        answer.raise_for_status()
        return answer.text

    def families(self, role: str) -> dict[str, Family]:
        """Return what the endpoint of this process tells, by name."""
        return {family.name: family for family in text_string_to_metric_families(self.scrape(role))}

    def _start(self, role: str) -> _Running:
        port = free_port()
        name = {"web": "MARKETPLACE_WEB__PORT", "scheduler": "MARKETPLACE_SCHEDULER__METRICS_PORT"}.get(
            role, "MARKETPLACE_WORKER__METRICS_PORT"
        )
        with (self.directory / f"{role}.log").open("ab") as log:
            process = subprocess.Popen(
                [MARKETPLACE, *COMMANDS[role]],
                env={**self._environment, name: str(port)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        url = f"http://127.0.0.1:{port}"
        return _Running(process, url, f"{url}/api/metrics" if role == "web" else f"{url}/metrics")

    def _answers(self, role: str) -> bool:
        assert self._running[role].process.poll() is None, (self.directory / f"{role}.log").read_text()
        with contextlib.suppress(requests.RequestException):
            return bool(self.scrape(role))
        return False


@contextmanager
def observed_processes(
    directory: Path,
    template: Path,
    redis_url: str,
    agents_url: str = "http://127.0.0.1:9",
    *,
    shared: bool,
    **settings: str,
) -> Iterator[ObservedProcesses]:
    """Yield processes that are still to be started, on a copy of this SQLite file."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "marketplace.db"
    shutil.copyfile(template, path)
    processes = ObservedProcesses(directory, f"sqlite:///{path}", redis_url, agents_url, shared=shared, **settings)
    try:
        yield processes
    finally:
        processes.close()
