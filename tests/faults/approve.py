"""`make approve-states`: how fast approvals are answered, and how, in every state of Redis.

A real web process on a database of its own, and no worker: what is measured is the answer. Exit code 6 when the p99 of
a state is above the limit, or a call fails.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import requests
from pydantic import SecretStr

from app.settings import DatabaseSettings
from app.storage.database import Database
from app.storage.migrate import upgrade
from loadtest.plans import ready_plan
from loadtest.verdict import quantile
from tests.redis_states import LASTING, PASSING
from tests.servers import postgres_binaries, postgres_database, running_postgres, running_valkey
from tests.web_process import Web, running_web

LIMIT_SECONDS = 0.3

_UP = "up"
_STATES = (_UP, *PASSING, *LASTING)
_MISSED = 6

#: Approvals under way at once, at most; and those before the measurement, which open connections and warm caches.
_SENDERS = 16
_WARM_UP = 20


@dataclass(frozen=True)
class Answered:
    """One approval: how long it took, in seconds, and what came back."""

    seconds: float
    status: int
    mode: str


@dataclass(frozen=True)
class Measured:
    """The approvals of one state."""

    state: str
    answers: Sequence[Answered]

    def quantile(self, share: float) -> float:
        """Return the time within which this share was answered, in seconds."""
        return quantile([answer.seconds for answer in self.answers], share) or 0.0

    def missed(self) -> bool:
        """Tell whether approvals took too long, or failed."""
        return self.quantile(0.99) > LIMIT_SECONDS or any(answer.status not in {200, 202} for answer in self.answers)

    def row(self) -> str:
        """Return a row of the table."""
        ways = Counter(f"{answer.status} {answer.mode}" for answer in self.answers)
        times = (self.quantile(0.5), self.quantile(0.99), self.quantile(1.0))
        return " | ".join(
            [
                f"| {self.state:<11}",
                *(f"{seconds * 1000:>6.0f} ms" for seconds in times),
                f"{', '.join(f'{count} x {way}' for way, count in sorted(ways.items()))} |",
            ]
        )


class Approver:
    """Sends calls to a web process; one connection per thread."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._local = threading.local()

    def imported(self, count: int) -> list[str]:
        """Return new plans that await approval."""
        chance = random.Random(count)
        plans = [ready_plan(chance, "amazon", tasks=5) for _ in range(count)]
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda plan: self._call("POST", "/import", plan), plans))
        return [answer.json()["planId"] for answer in answers]

    def approve(self, plan_id: str) -> Answered:
        """Approve a plan, and time the answer."""
        sent = time.perf_counter()
        answer = self._call("PATCH", f"/{plan_id}", {"action": "approve"})
        seconds = time.perf_counter() - sent
        return Answered(seconds, answer.status_code, str(answer.json().get("mode")))

    def approve_all(self, plan_ids: Sequence[str], *, rate: float) -> list[Answered]:
        """Approve `rate` plans a second by the clock, whatever the answers to those before."""
        started = time.perf_counter()

        def approve_in_time(numbered: tuple[int, str]) -> Answered:
            position, plan_id = numbered
            time.sleep(max(0.0, started + position / rate - time.perf_counter()))
            return self.approve(plan_id)

        with ThreadPoolExecutor(_SENDERS) as pool:
            return list(pool.map(approve_in_time, enumerate(plan_ids)))

    def _call(self, method: str, path: str, body: object) -> requests.Response:
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.headers.update(self._web.headers)
        return session.request(method, f"{self._web.url}/api/marketplace/analysis{path}", json=body, timeout=30)


@click.command
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES), help="Default: all.")
@click.option("--approvals", default=200, show_default=True, help="Approvals in each state.")
@click.option("--rate", default=50.0, show_default=True, help="Approvals per second.")
@click.option("--database", default="SQLite", show_default=True, type=click.Choice(["SQLite", "PostgreSQL"]))
@click.pass_context
def approve(context: click.Context, *, states: tuple[str, ...], approvals: int, rate: float, database: str) -> None:
    """Approve plans in every state of Redis, and print a table."""
    click.echo(f"{approvals} approvals per state, {rate:g} a second, on {database}; the limit of p99 is 300 ms\n")
    click.echo("| State       |       p50 |       p99 |       max | Answers |")
    click.echo("| ----------- | --------- | --------- | --------- | ------- |")
    missed = False
    with tempfile.TemporaryDirectory(prefix="marketplace-approve-") as name, ExitStack() as servers:
        server_url = servers.enter_context(_postgres()) if database == "PostgreSQL" else None
        for state in dict.fromkeys(states or _STATES):
            directory = Path(name) / state
            directory.mkdir()
            with _database(server_url, directory) as database_url:
                measured = measure(state, database_url, directory, count=approvals, rate=rate)
            click.echo(measured.row())
            missed |= measured.missed()
    if missed:
        context.exit(_MISSED)


def measure(state: str, database_url: str, directory: Path, *, count: int, rate: float) -> Measured:
    """Approve plans while Redis is in this state, which a running server enters as the first of them comes."""
    with ExitStack() as stack:
        lasting = LASTING.get(state)
        url = stack.enter_context(running_valkey(directory / "valkey") if lasting is None else lasting())
        approver = Approver(stack.enter_context(running_web(database_url, url, directory)))
        plan_ids = approver.imported(_WARM_UP + count)
        approver.approve_all(plan_ids[:_WARM_UP], rate=rate)
        if state in PASSING:
            stack.enter_context(PASSING[state](url))
        return Measured(state, approver.approve_all(plan_ids[_WARM_UP:], rate=rate))


def _postgres() -> AbstractContextManager[str]:
    binaries = postgres_binaries()
    if binaries is None:
        raise click.ClickException("PostgreSQL is not installed (`make tools`)")
    return running_postgres(binaries)


@contextmanager
def _database(server_url: str | None, directory: Path) -> Iterator[str]:
    """Yield the URL of a new, migrated database."""
    with ExitStack() as stack:
        path = directory / "marketplace.db"
        url = f"sqlite:///{path}" if server_url is None else stack.enter_context(postgres_database(server_url))
        database = Database(DatabaseSettings(url=SecretStr(url)))
        upgrade(database)
        database.close()
        yield url


if __name__ == "__main__":
    approve()
