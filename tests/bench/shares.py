"""Where the time of a job goes: one thread runs jobs one after the other, and each part is timed.

The same is done with the bare actor's function, so that the difference is what the protocol costs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Connection, event

from app.agent_round import AgentRound
from app.agents.gateway import AgentGateway
from app.breakers.breakers import Breakers
from app.domain.jobs import QUEUES, JobKind
from app.job_execution import JobExecutor, RunEnd
from app.job_queue.clients import patient_client
from app.job_queue.hints import HintQueue
from app.job_runs import Heartbeat
from app.live_metrics import LiveMetrics
from app.outbound import Outbound
from app.phase_one import PhaseOne
from app.settings import DatabaseSettings, JobSettings, OutboundSettings, RedisSettings
from app.storage.database import Database
from app.storage.migrate import upgrade
from tests.bench.bare_work import create_tasks_plainly
from tests.bench.section import Section, milliseconds
from tests.bench.seeding import seed_jobs
from worker.broker import HintBroker
from worker.dead_messages import DeadMessages


@dataclass(frozen=True)
class Shares:
    """Seconds per job; `driver` is what the database's driver and server take, COMMIT included."""

    total: float
    driver: float
    redis: float
    statements: float

    @property
    def rest(self) -> float:
        """Our code, SQLAlchemy's and Dramatiq's."""
        return self.total - self.driver - self.redis


class _DriverTime:
    """Adds up what an engine's statements and COMMITs take, on one thread."""

    def __init__(self, database: Database) -> None:
        self.seconds = 0.0
        self.statements = 0
        self._began = 0.0
        engine = database.engine
        event.listen(engine, "before_cursor_execute", self._before)
        event.listen(engine, "after_cursor_execute", self._after)
        for name in ("do_commit", "do_rollback"):
            setattr(engine.dialect, name, self._timed(getattr(engine.dialect, name)))

    def _before(self, *_event: object) -> None:
        self._began = time.perf_counter()

    def _after(self, _connection: Connection, *_event: object) -> None:
        self.seconds += time.perf_counter() - self._began
        self.statements += 1

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: object) -> Any:  # noqa: ANN401 -- the library's signature
            began = time.perf_counter()
            try:
                return call(*arguments)
            finally:
                self.seconds += time.perf_counter() - began

        return timed


def shares_of_ours(database_url: str, redis_url: str, *, count: int) -> Shares:
    """Return where the time of one of our jobs goes: fetched, run and acknowledged as a worker thread does."""
    database = Database(DatabaseSettings(url=SecretStr(database_url)))
    metrics = LiveMetrics()
    settings, jobs = RedisSettings(url=SecretStr(redis_url)), JobSettings()
    client = patient_client(settings, metrics)
    outbound = Outbound(OutboundSettings(), allow_private=False)
    agents = AgentRound(database, AgentGateway((), outbound, metrics, Breakers({}, metrics)), metrics, cache_seconds=0)
    heartbeat = Heartbeat(database, metrics, beat_seconds=jobs.beat_seconds, lease_seconds=jobs.lease_seconds)
    executor = JobExecutor(
        database, jobs, {JobKind.PHASE1: PhaseOne(database, agents, metrics)}, heartbeat, metrics, owner="bench"
    )
    try:
        upgrade(database)
        client.flushdb()
        queue = QUEUES[JobKind.PHASE1]
        hints = HintQueue(client, settings.namespace)
        for job_id in seed_jobs(database, count, seed=0):
            hints.send(queue, job_id)
        dead_messages = DeadMessages(database, hints, metrics)
        consumer: Any = HintBroker(
            hints, [queue], threads=1, poll_seconds=1, pause_seconds=lambda _failures: 0, bury=dead_messages.bury
        ).consume(queue)
        driver, in_redis, started = _DriverTime(database), 0.0, time.perf_counter()
        for _ in range(count):
            began = time.perf_counter()
            message = next(consumer)
            in_redis += time.perf_counter() - began
            _delivery, hint = message.args
            assert executor.run(hint.job_id) is RunEnd.COMPLETED
            began = time.perf_counter()
            consumer.ack(message)
            in_redis += time.perf_counter() - began
        total = time.perf_counter() - started
    finally:
        client.close()
        database.close()
    return Shares(total / count, driver.seconds / count, in_redis / count, driver.statements / count)


def shares_of_bare(database_url: str, *, count: int) -> Shares:
    """Return the same of the bare actor's function; what Dramatiq and Redis take around it is left out."""
    database = Database(DatabaseSettings(url=SecretStr(database_url)))
    try:
        upgrade(database)
        job_ids = seed_jobs(database, count, seed=0)
        driver, started = _DriverTime(database), time.perf_counter()
        for job_id in job_ids:
            create_tasks_plainly(database, job_id)
        total = time.perf_counter() - started
    finally:
        database.close()
    return Shares(total / count, driver.seconds / count, 0.0, driver.statements / count)


def shares_section(measured: Mapping[str, tuple[Shares, Shares]], *, count: int) -> Section:
    """Return what the runs found, ours and bare by database."""
    rows = []
    for database, contestants in measured.items():
        for name, found in zip(("ours", "bare"), contestants, strict=True):
            rows.append(
                (
                    database,
                    name,
                    milliseconds(found.total),
                    *(
                        f"{milliseconds(part)} ({part / found.total:.0%})"
                        for part in (found.driver, found.redis, found.rest)
                    ),
                    f"{found.statements:.1f}",
                )
            )
    return Section(
        "shares",
        f"Where the time of a job goes, {count} jobs on one thread",
        ("Database", "", "Per job", "Database", "Redis", "Python", "Statements"),
        rows,
        {
            database: {name: asdict(found) for name, found in zip(("ours", "bare"), contestants, strict=True)}
            for database, contestants in measured.items()
        },
    )
