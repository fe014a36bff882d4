"""The stack whose processes are measured: every role, on a Valkey and a PostgreSQL of its own."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import psycopg

from deploy.local.agents_program import CHANNELS
from deploy.local.simulations import SimulatedAgents
from loadtest.plans import ready_plan
from tests.bench.latency import Client
from tests.bench.seeding import TASKS
from tests.servers import PostgresServer, ValkeyServer, postgres_database, wait_until
from tests.sizing.processes import Memory, connections_to, cpu_seconds, memory_of
from tests.stacks import RunningStack, running_stack

#: The processes of the product.
ROLES = ("web", "worker", "quarantine", "scheduler", "relay")
#: Those of the servers beside it; a client's work costs them CPU time as well.
SERVERS = ("Valkey", "PostgreSQL")

#: Requests that may be under way at once, and seconds that jobs get to end.
_SENDERS = 16
_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class SizedStack:
    """A running stack, and what is asked of it and its servers."""

    stack: RunningStack
    client: Client
    database_url: str
    redis_url: str
    pids: Mapping[str, int]

    @property
    def agents(self) -> SimulatedAgents:
        """Control of the simulated agents."""
        return SimulatedAgents(self.stack.facts["urls"]["agents"])

    def memory(self) -> dict[str, Memory]:
        """Return the memory of every process now."""
        return {name: memory_of(pid) for name, pid in self.pids.items()}

    def cpu(self) -> dict[str, float]:
        """Return the CPU seconds of every process until now."""
        return {name: cpu_seconds(pid) for name, pid in self.pids.items()}

    def connections(self) -> dict[str, tuple[int, int]]:
        """Return the connections of every role to PostgreSQL and to Redis."""
        ports = [int(urlsplit(url).port or 0) for url in (self.database_url, self.redis_url)]
        return {
            role: (connections_to(ports[0], self.pids[role]), connections_to(ports[1], self.pids[role]))
            for role in ROLES
        }

    def behave(self, milliseconds: float) -> None:
        """Let every agent take about so long for an answer."""
        for channel in CHANNELS:
            self.agents.behave(channel, mode="healthy", latencyMs=milliseconds)

    def open_jobs(self) -> int:
        """Return how many jobs have not ended, by the database: a question to the API would cost it CPU time."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            row = connection.execute(
                "SELECT count(*) FROM marketplace_job_executions WHERE status IN ('pending', 'active')"
            ).fetchone()
        assert row is not None
        return int(row[0])

    def wait_for_jobs(self) -> None:
        """Wait until every job has ended."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self.open_jobs():
            assert time.monotonic() < deadline, "the jobs do not end"
            time.sleep(0.25)

    def approve(self, plan_id: str) -> None:
        """Approve a plan."""
        self.client.call("PATCH", f"/api/marketplace/analysis/{plan_id}", {"action": "approve"})

    def import_plan(self, chance: random.Random) -> str:
        """Bring in a plan for one channel, and return its id."""
        body = ready_plan(chance, chance.choice(CHANNELS), tasks=TASKS)
        return str(self.client.call("POST", "/api/marketplace/analysis/import", body)["planId"])

    def analyse(self, number: int, *channels: str) -> str:
        """Ask the agents of these channels for a plan, and return its id."""
        body = {"title": f"Plan {number}", "channels": list(channels), "context": "Sales of the last month by channel."}
        return str(self.client.call("POST", "/api/marketplace/analysis", body)["planId"])


@contextmanager
def sized_stack(directory: Path, postgres: PostgresServer, **settings: str) -> Iterator[SizedStack]:
    """Yield a stack that is ready, with a relay that has nobody to tell, on an empty database and an empty Valkey."""
    with ExitStack() as running:
        url = running.enter_context(postgres_database(postgres.url))
        valkey = ValkeyServer(directory / "valkey")
        running.callback(valkey.stop)
        valkey.start()
        stack = running.enter_context(
            running_stack(
                directory,
                DATABASE_URL=url,
                REDIS_URL=valkey.url,
                MARKETPLACE_WEB__RATE_LIMIT_PER_MINUTE="0",
                MARKETPLACE_OUTBOUND__ALLOW_PRIVATE_WEBHOOKS="true",
                **settings,
            )
        )
        found = stack.facts["pids"]
        assert valkey.process is not None
        pids = {role: found[role][0] if isinstance(found[role], list) else found[role] for role in ROLES}
        pids |= {"Valkey": valkey.process.pid, "PostgreSQL": postgres.pid}
        client = Client(stack.facts["urls"]["web"], stack.token)
        yield SizedStack(stack, client, url, valkey.url, pids)


def at_a_rate(work: Callable[[int], object], *, count: int, rate: float) -> None:
    """Do it `count` times, `rate` a second by the clock, whatever those before take."""
    began = time.perf_counter()

    def timely(number: int) -> None:
        time.sleep(max(0.0, began + number / rate - time.perf_counter()))
        work(number)

    with ThreadPoolExecutor(_SENDERS) as pool:
        list(pool.map(timely, range(count)))


class Peaks:
    """The most memory and connections of every process while it is entered, looked at every half second."""

    def __init__(self, sized: SizedStack) -> None:
        self._sized = sized
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.memory: dict[str, Memory] = {}
        self.connections: dict[str, tuple[int, int]] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            for name, memory in self._sized.memory().items():
                before = self.memory.get(name, memory)
                self.memory[name] = Memory(
                    max(memory.resident, before.resident), max(memory.proportional, before.proportional)
                )
            for role, (database, redis) in self._sized.connections().items():
                before_it = self.connections.get(role, (0, 0))
                self.connections[role] = max(database, before_it[0]), max(redis, before_it[1])


def awaits_approval(sized: SizedStack, plan_id: str) -> None:
    """Wait until an analysis has become a plan."""

    def awaits() -> bool:
        with psycopg.connect(sized.database_url, autocommit=True) as connection:
            row = connection.execute("SELECT status FROM marketplace_plans WHERE id = %s", (plan_id,)).fetchone()
        return row == ("awaiting_approval",)

    wait_until(awaits, seconds=_PATIENCE_SECONDS, what=f"plan {plan_id}")
