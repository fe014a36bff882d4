"""What each role costs: memory, connections and CPU time, idle and under load; and what a plan leaves behind."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
import redis

from deploy.local.agents_program import CHANNELS
from tests.bench.section import Section
from tests.receiver import running_receiver
from tests.servers import PostgresServer, wait_until
from tests.sizing.processes import Memory
from tests.sizing.sized_stack import ROLES, SERVERS, Peaks, SizedStack, at_a_rate, sized_stack
from tests.sizing.table_sizes import TableSize, Written, table_sizes, written

IMPORTED = "imported, approved"
NOTIFIED = "imported, approved, one webhook"
ANALYSED = "analysed by six agents, approved"

_EVENTS = ("job:enqueued", "job:active", "job:completed", "job:failed")

#: How long agents take, in milliseconds, and plans until every pool has the connections that the load needs.
_AGENT_MILLISECONDS = 100
_WARM_UP = 100


@dataclass(frozen=True)
class Idle:
    """A stack with nothing to do; CPU time in cores."""

    memory: Mapping[str, Memory]
    connections: Mapping[str, tuple[int, int]]
    cores: Mapping[str, float]
    written_per_second: Written
    redis_commands_per_second: float
    redis_bytes: int
    redis_resident_bytes: int
    redis_clients: int
    redis_keys: int


@dataclass(frozen=True)
class Loaded:
    """The same under load; `cpu` is seconds per plan beyond what the idle stack takes, so are those written."""

    rate: float
    memory: Mapping[str, Memory]
    connections: Mapping[str, tuple[int, int]]
    cpu: Mapping[str, float]
    written: Written
    tables: Mapping[str, TableSize]
    aof_bytes: float
    redis_commands: float


@dataclass(frozen=True)
class RoleCosts:
    """One stack, idle and then under each load, by the way of the plans."""

    idle: Idle
    loaded: Mapping[str, Loaded]


def role_costs(directory: Path, postgres: PostgresServer, *, count: int, rate: float, idle_seconds: float) -> RoleCosts:
    """Measure a stack idle, then with `count` plans of each way, `rate` a second."""
    with sized_stack(directory, postgres) as sized, redis.Redis.from_url(sized.redis_url) as client:
        sized.behave(_AGENT_MILLISECONDS)
        time.sleep(idle_seconds / 2)
        idle = _idle(sized, client, idle_seconds)
        chance = random.Random(count)
        # Room that dead rows leave is used again: the first plans make it, the next ones are counted.
        _imported(sized, chance, _WARM_UP, rate)
        loaded = {IMPORTED: _loaded(sized, client, idle, lambda: _imported(sized, chance, count, rate), count)}
        few = max(1, count // 3)
        loaded[ANALYSED] = _loaded(sized, client, idle, lambda: _analysed(sized, few, rate / 3), few)
        with running_receiver() as receiver:
            sized.client.call("POST", "/api/marketplace/webhooks", {"url": receiver.url, "events": list(_EVENTS)})
            loaded[NOTIFIED] = _loaded(sized, client, idle, lambda: _notified(sized, chance, count, rate), count)
            assert len(receiver.received) >= 3 * count
    return RoleCosts(idle, loaded)


def role_sections(costs: RoleCosts) -> list[Section]:
    """Return memory and connections by role, CPU time by role and way, and what the servers are asked for."""
    return [_memory_section(costs), _cpu_section(costs), _servers_section(costs)]


def _idle(sized: SizedStack, client: redis.Redis, seconds: float) -> Idle:
    cpu, commands, done = sized.cpu(), _commands(client), written(sized.database_url)
    time.sleep(seconds)
    memory = client.info("memory")
    return Idle(
        memory=sized.memory(),
        connections=sized.connections(),
        cores={name: (used - cpu[name]) / seconds for name, used in sized.cpu().items()},
        # The two questions are transactions of ours.
        written_per_second=written(sized.database_url).minus(done).times(1 / seconds),
        redis_commands_per_second=(_commands(client) - commands) / seconds,
        redis_bytes=int(memory["used_memory"]),
        redis_resident_bytes=int(memory["used_memory_rss"]),
        redis_clients=int(client.info("clients")["connected_clients"]),
        redis_keys=int(client.dbsize()),
    )


def _loaded(sized: SizedStack, client: redis.Redis, idle: Idle, load: Callable[[], None], count: int) -> Loaded:
    tables = table_sizes(sized.database_url)
    aof, commands = _aof_bytes(client), _commands(client)
    cpu, done, began = sized.cpu(), written(sized.database_url), time.monotonic()
    with Peaks(sized) as peaks:
        load()
    took = time.monotonic() - began
    spent = {name: used - cpu[name] - idle.cores[name] * took for name, used in sized.cpu().items()}
    wrote = written(sized.database_url).minus(done).minus(idle.written_per_second.times(took))
    return Loaded(
        rate=count / took,
        memory=peaks.memory,
        connections=peaks.connections,
        cpu={name: max(0.0, seconds) / count for name, seconds in spent.items()},
        written=wrote.times(1 / count),
        tables={name: size.minus(tables[name]).per(count) for name, size in table_sizes(sized.database_url).items()},
        aof_bytes=(_aof_bytes(client) - aof) / count,
        redis_commands=(_commands(client) - commands - idle.redis_commands_per_second * took) / count,
    )


def _imported(sized: SizedStack, chance: random.Random, count: int, rate: float) -> None:
    at_a_rate(lambda _number: sized.approve(sized.import_plan(chance)), count=count, rate=rate)
    sized.wait_for_jobs()


def _notified(sized: SizedStack, chance: random.Random, count: int, rate: float) -> None:
    _imported(sized, chance, count, rate)
    _wait_for_deliveries(sized)


def _analysed(sized: SizedStack, count: int, rate: float) -> None:
    plans: list[str] = []
    at_a_rate(lambda number: plans.append(sized.analyse(number, *CHANNELS)), count=count, rate=rate)
    sized.wait_for_jobs()
    at_a_rate(lambda number: sized.approve(plans[number]), count=count, rate=rate * 3)
    sized.wait_for_jobs()


def _wait_for_deliveries(sized: SizedStack) -> None:
    def none_waits() -> bool:
        with psycopg.connect(sized.database_url, autocommit=True) as connection:
            row = connection.execute(
                "SELECT count(*) FROM marketplace_deliveries WHERE status IN ('pending', 'active')"
            ).fetchone()
        return row == (0,)

    wait_until(none_waits, seconds=300, what="the deliveries")


def _commands(client: redis.Redis) -> int:
    return int(client.info("stats")["total_commands_processed"])


def _aof_bytes(client: redis.Redis) -> int:
    return int(client.info("persistence")["aof_current_size"])


def _memory_section(costs: RoleCosts) -> Section:
    peak = {
        name: Memory(
            max(loaded.memory[name].resident for loaded in costs.loaded.values()),
            max(loaded.memory[name].proportional for loaded in costs.loaded.values()),
        )
        for name in (*ROLES, *SERVERS)
    }
    open_to = {
        role: tuple(max(loaded.connections[role][side] for loaded in costs.loaded.values()) for side in (0, 1))
        for role in ROLES
    }
    rows: list[Sequence[str]] = []
    for name in (*ROLES, *SERVERS):
        idle = costs.idle.memory[name]
        connections = ("-", "-", "-", "-")
        if name in ROLES:
            connections = tuple(map(str, (*costs.idle.connections[name], *open_to[name])))  # type: ignore[assignment]
        rows.append(
            (
                name,
                _megabytes(idle.proportional),
                _megabytes(idle.resident),
                _megabytes(peak[name].proportional),
                _megabytes(peak[name].resident),
                *(f"{a} / {b}" for a, b in (connections[:2], connections[2:])),
            )
        )
    return Section(
        "memory",
        "Memory and connections of each process",
        (
            "Process",
            "Idle PSS",
            "Idle RSS",
            "Most PSS under load",
            "Most RSS under load",
            "Connections idle: PostgreSQL / Redis",
            "Most connections under load",
        ),
        rows,
        {
            "idle": {name: asdict(memory) for name, memory in costs.idle.memory.items()},
            "loaded": {name: asdict(memory) for name, memory in peak.items()},
            "connectionsIdle": costs.idle.connections,
            "connectionsLoaded": open_to,
        },
    )


def _cpu_section(costs: RoleCosts) -> Section:
    names = (*ROLES, *SERVERS)
    rows: list[Sequence[str]] = [
        (
            "idle, share of a core",
            *(f"{costs.idle.cores[name]:.1%}" for name in names),
            f"{sum(costs.idle.cores.values()):.1%}",
        )
    ]
    rows += [
        (
            f"{way}, {loaded.rate:.0f} plans/s",
            *(f"{loaded.cpu[name] * 1000:.1f} ms" for name in names),
            f"{sum(loaded.cpu.values()) * 1000:.1f} ms",
        )
        for way, loaded in costs.loaded.items()
    ]
    return Section(
        "cpu",
        "CPU time per plan, from its request to its last task",
        ("Way", *names, "All"),
        rows,
        {
            "idleCores": costs.idle.cores,
            "secondsPerPlan": {way: loaded.cpu for way, loaded in costs.loaded.items()},
            "plansPerSecond": {way: loaded.rate for way, loaded in costs.loaded.items()},
        },
    )


def _servers_section(costs: RoleCosts) -> Section:
    idle = costs.idle
    rows: list[Sequence[str]] = [
        (
            "idle stack, per second",
            f"{idle.written_per_second.transactions:.0f}",
            f"{idle.written_per_second.wal_writes:.1f}",
            f"{idle.written_per_second.wal_bytes / 1024:,.1f} kB",
            f"{idle.redis_commands_per_second:.0f}",
            "-",
        )
    ]
    rows += [
        (
            f"{way}, per plan",
            f"{loaded.written.transactions:.0f}",
            f"{loaded.written.wal_writes:.1f}",
            f"{loaded.written.wal_bytes / 1024:,.1f} kB",
            f"{loaded.redis_commands:.1f}",
            f"{loaded.aof_bytes / 1024:,.2f} kB",
        )
        for way, loaded in costs.loaded.items()
    ]
    return Section(
        "servers",
        "What the servers are asked for",
        ("Way", "Transactions", "Writes of the log", "Bytes of the log", "Redis commands", "Append-only file"),
        rows,
        {
            "idlePerSecond": {**asdict(idle.written_per_second), "redisCommands": idle.redis_commands_per_second},
            "perPlan": {
                way: {**asdict(loaded.written), "redisCommands": loaded.redis_commands, "aofBytes": loaded.aof_bytes}
                for way, loaded in costs.loaded.items()
            },
            "redis": {
                "bytes": idle.redis_bytes,
                "residentBytes": idle.redis_resident_bytes,
                "clients": idle.redis_clients,
                "keys": idle.redis_keys,
            },
        },
    )


def _megabytes(number: float) -> str:
    return f"{number / 1024**2:.0f} MB"
