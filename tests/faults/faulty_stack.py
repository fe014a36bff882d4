"""A stack that faults are done to: `marketplace run` on servers of ours, which can be killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import requests
from pydantic import SecretStr

from app.settings import DatabaseSettings
from app.storage.database import Database
from app.storage.migrate import upgrade
from tests.servers import PostgresServer, ValkeyServer, ended, postgres_binaries, postgres_database, postgres_server_in
from tests.stacks import MARKETPLACE, RunningStack, clean_environment, running_stack

#: The channel whose agent is asked for Phase 1: each job waits for it about this long.
CHANNEL = "amazon"
JOB_MILLISECONDS = 50


@dataclass(frozen=True)
class FaultyStack:
    """A running stack with the handles that faults need; `postgres` is None on SQLite."""

    stack: RunningStack
    database_url: str
    database: Database
    valkey: ValkeyServer
    postgres: PostgresServer | None
    directory: Path
    settings: Mapping[str, str]

    def pid(self, role: str) -> int:
        """Return the id of the process that has this role now; for `web` of the server's master."""
        found = self.stack.facts["pids"][role]
        return int(found[0] if isinstance(found, list) else found)

    def is_another(self, role: str, pid: int) -> bool:
        """Tell whether a process other than this one has the role now."""
        return self.pid(role) != pid

    def signal(self, role: str, number: signal.Signals) -> int:
        """Send a signal to the process of a role, and return its id; one that is just being restarted is left out."""
        pid = self.pid(role)
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return 0
        return pid

    @contextmanager
    def another(self, *command: str) -> Iterator[subprocess.Popen[bytes]]:
        """Yield one more process of the product, which no supervisor watches."""
        environment = clean_environment(
            **self.settings,
            MARKETPLACE_AGENTS__FILE=str(self.stack.data / "agents.yaml"),
            MARKETPLACE_OUTBOUND__ALLOW_PRIVATE_AGENTS="true",
            # Its own directory: as on another host, nobody sees it die.
            MARKETPLACE_PROCESS__DIRECTORY=str(self.directory / "other-host"),
        )
        with (self.directory / f"{'-'.join(command)}.log").open("ab") as log:
            process = subprocess.Popen([MARKETPLACE, *command], env=environment, stdout=log, stderr=log)
        with ended(process, seconds=30):
            yield process


@contextmanager
def faulty_stack(
    directory: Path,
    database: str,
    settings: Mapping[str, str],
    prepare: Callable[[str], None] = lambda _database_url: None,
) -> Iterator[FaultyStack]:
    """Yield a stack on a Valkey and a database of its own, whose agent answers after about `JOB_MILLISECONDS`.

    `prepare` is called with the URL of the migrated database, before any process uses it.
    """
    with ExitStack() as running:
        postgres = None
        if database == "postgresql":
            binaries = postgres_binaries()
            assert binaries is not None
            postgres = running.enter_context(postgres_server_in(binaries))
            url = running.enter_context(postgres_database(postgres.url))
        else:
            url = f"sqlite:///{directory / 'marketplace.db'}"
        valkey = ValkeyServer(directory / "valkey")
        running.callback(valkey.stop)
        valkey.start()
        store = Database(DatabaseSettings(url=SecretStr(url), lock_timeout_seconds=15))
        running.callback(store.close)
        upgrade(store)
        prepare(url)
        settings = {
            "DATABASE_URL": url,
            "REDIS_URL": valkey.url,
            "MARKETPLACE_WEB__RATE_LIMIT_PER_MINUTE": "0",
            "LOG_LEVEL": "INFO",
            **settings,
        }
        stack = running.enter_context(running_stack(directory, **settings))
        behaviour = {"mode": "healthy", "latencyMs": JOB_MILLISECONDS}
        requests.put(
            f"{stack.facts['urls']['agents']}/behaviour/{CHANNEL}", json=behaviour, timeout=10
        ).raise_for_status()
        yield FaultyStack(stack, url, store, valkey, postgres, directory, settings)


def tell(message: str) -> None:
    """Tell a person how the run goes."""
    click.echo(message, err=True)


#: What a fault does: it is called when a quarter of the plans is approved, and returns when the fault is over.
#: `busy` tells whether jobs are still unfinished.
Injection = Callable[[FaultyStack, Callable[[], bool]], None]
