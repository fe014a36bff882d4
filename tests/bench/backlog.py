"""A large backlog: what a queued job costs, and what the sweeper costs beside many finished jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import median

import redis
from pydantic import SecretStr
from sqlalchemy import Connection, text

from app.announcements import Announcer
from app.domain.jobs import QUEUES, JobKind
from app.job_queue.hints import HintQueue
from app.live_metrics import LiveMetrics
from app.recovery import Recovery
from app.settings import DatabaseSettings, JobSettings, RedisSettings
from app.storage.database import Database
from app.storage.migrate import upgrade
from app.storage.stuck_plans import stuck_plans
from tests.bench.section import Section, milliseconds
from tests.bench.seeding import seed_jobs
from worker.stuck_watch import REST
from worker.sweeper import Sweeper

#: The sweeper's cost with the most finished jobs beside that with the fewest, at most.
LARGEST_GROWTH = 1.5

#: Rounds of the sweeper whose median counts.
_ROUNDS = 15


@dataclass(frozen=True)
class Backlog:
    """What a queued job costs: seconds, and bytes in Redis and in the database (its plan and its event with it)."""

    rows_per_second: float
    hints_per_second: float
    redis_bytes: float
    database_bytes: float


@dataclass(frozen=True)
class SweepCost:
    """Seconds of one round of each chore."""

    dispatch: float
    reap: float
    reconcile: float
    look: float
    """The search for stuck plans."""


def backlog(database_url: str, redis_url: str, *, count: int) -> Backlog:
    """Queue `count` jobs: rows in transactions of 500, then a hint for each, one by one."""
    database = Database(DatabaseSettings(url=SecretStr(database_url)))
    client = redis.Redis.from_url(redis_url)
    try:
        upgrade(database)
        client.flushdb()
        empty = _database_bytes(database)
        started = time.perf_counter()
        job_ids = seed_jobs(database, count, seed=0)
        rows_seconds = time.perf_counter() - started
        database_bytes = (_database_bytes(database) - empty) / count
        memory = client.info("memory")["used_memory"]
        hints = HintQueue(client, RedisSettings().namespace)
        started = time.perf_counter()
        for job_id in job_ids:
            hints.send(QUEUES[JobKind.PHASE1], job_id)
        hints_seconds = time.perf_counter() - started
        redis_bytes = (client.info("memory")["used_memory"] - memory) / count
        client.flushdb()
    finally:
        client.close()
        database.close()
    return Backlog(count / rows_seconds, count / hints_seconds, redis_bytes, database_bytes)


def sweep_costs(database_url: str, redis_url: str, *, pending: int, finished: tuple[int, ...]) -> dict[int, SweepCost]:
    """Return the sweeper's cost beside `pending` due jobs, for each number of finished ones, in growing order.

    The queue is full, as it is while workers are busy; every round finds work to look for and none to do.
    """
    database = Database(DatabaseSettings(url=SecretStr(database_url)))
    client = redis.Redis.from_url(redis_url)
    try:
        upgrade(database)
        client.flushdb()
        settings, metrics = JobSettings(), LiveMetrics()
        hints = HintQueue(client, RedisSettings().namespace)
        for job_id in seed_jobs(database, pending, seed=0)[: settings.window]:
            hints.send(QUEUES[JobKind.PHASE1], job_id)
        recovery = Recovery(database, Announcer(hints, metrics), settings, metrics)
        sweeper = Sweeper(database, hints, recovery, settings, metrics)
        costs = {}
        there = 0
        for number in finished:
            _add_finished(database, there, number)
            there = number
            costs[number] = SweepCost(
                dispatch=_median_seconds(sweeper.dispatch),
                reap=_median_seconds(sweeper.reap),
                reconcile=_median_seconds(sweeper.reconcile),
                look=_median_seconds(lambda: _look(database, settings)),
            )
        client.flushdb()
    finally:
        client.close()
        database.close()
    return costs


def backlog_section(measured: Mapping[str, Backlog], *, count: int) -> Section:
    """Return what queueing found."""
    return Section(
        "backlog",
        f"{count:,} queued jobs",
        ("Database", "Rows", "Hints", "Redis per job", "Database per job"),
        [
            (
                database,
                f"{found.rows_per_second:,.0f}/s",
                f"{found.hints_per_second:,.0f}/s",
                f"{found.redis_bytes:,.0f} bytes",
                f"{found.database_bytes:,.0f} bytes",
            )
            for database, found in measured.items()
        ],
        {database: asdict(found) for database, found in measured.items()},
    )


def sweep_section(measured: Mapping[str, Mapping[int, SweepCost]], *, pending: int) -> Section:
    """Return what the sweeper costs."""
    rows, missed = [], []
    for database, costs in measured.items():
        fewest, most = costs[min(costs)], costs[max(costs)]
        growth = _per_second(most) / _per_second(fewest)
        if growth > LARGEST_GROWTH:
            missed.append(
                f"sweeper on {database}: costs {growth:.2f} times as much beside the most finished jobs, "
                f"at most {LARGEST_GROWTH} expected"
            )
        rows += [
            (
                database,
                f"{number:,}",
                milliseconds(cost.dispatch),
                milliseconds(cost.reap),
                milliseconds(cost.reconcile),
                milliseconds(cost.look),
                f"{_per_second(cost):.2%}",
            )
            for number, cost in costs.items()
        ]
    return Section(
        "sweeper",
        f"One round of the sweeper beside {pending:,} due jobs",
        ("Database", "Finished jobs", "Dispatch", "Reap", "Reconcile", "Stuck plans", "Share of one core"),
        rows,
        {database: {str(n): asdict(cost) for n, cost in costs.items()} for database, costs in measured.items()},
        missed,
    )


def _per_second(cost: SweepCost) -> float:
    """Return the seconds that the chores take in each second, at their default paces; a long look rests longer."""
    settings = JobSettings()
    return (
        cost.dispatch / settings.tick_seconds
        + cost.reap / settings.reap_seconds
        + cost.reconcile / settings.reconcile_seconds
        + cost.look / max(settings.watch_seconds, cost.look * (1 + REST))
    )


def _look(database: Database, settings: JobSettings) -> None:
    with database.read() as connection:
        stuck_plans(connection, settings, limit=1000)


def _median_seconds(chore: Callable[[], object]) -> float:
    seconds = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        chore()
        seconds.append(time.perf_counter() - started)
    return median(seconds)


def _add_finished(database: Database, there: int, number: int) -> None:
    """Make completed jobs, each with its approved plan, by SQL alone: one by one would take an hour."""
    for table, columns, values in (
        (
            "marketplace_plans",
            "id, title, status, origin, channels, notes, created_at, created_by, approved_at, phase1_job_id",
            "{id}, 'Finished', 'approved', 'import', '[\"amazon\"]', '[]', n, 'bench', n, {id}",
        ),
        (
            "marketplace_job_executions",
            _FINISHED_COLUMNS,
            "{id}, {id}, {id}, 'phase1', 1, 'completed', 100, 1, 0, 0, 1, n, n, 1, n, 10, '{{}}', 'queue', n, n, n",
        ),
    ):
        made = values.format(id=_IDS[database.dialect])
        with database.write() as connection:
            if database.dialect == "postgresql":
                connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(
                text(f"{_NUMBERS[database.dialect]} INSERT INTO {table} ({columns}) SELECT {made} FROM numbers"),
                {"first": there + 1, "last": number},
            )
    _vacuum(database)


_FINISHED_COLUMNS = (
    "id, job_id, plan_id, kind, generation, status, progress, attempt_number, error_count, crash_count, fence,"
    " available_at, next_dispatch_at, dispatch_count, deadline_at, timeout_seconds, timeout_reason, route,"
    " created_at, started_at, completed_at"
)

#: Ids that nobody else has, from the number `n`.
_IDS = {
    "sqlite": "printf('%032x', n)",
    "postgresql": "lpad(to_hex(n), 32, '0')::uuid",
}
_NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n < :last)",
    "postgresql": "WITH numbers AS (SELECT generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS n)",
}


def _vacuum(database: Database) -> None:
    """Do at once what autovacuum does within a minute or two; nobody does it for SQLite."""
    if database.dialect == "postgresql":
        with database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))


def _database_bytes(database: Database) -> int:
    with database.read() as connection:
        if database.dialect == "postgresql":
            return int(connection.scalar(text("SELECT pg_database_size(current_database())")) or 0)
        return _pragma(connection, "page_count") * _pragma(connection, "page_size")


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.scalar(text(f"PRAGMA {name}")) or 0)
