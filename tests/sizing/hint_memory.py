"""Memory of Redis: what a hint takes, and how many hints wait when workers are away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from uuid import UUID, uuid4

import redis
from pydantic import SecretStr

from app.announcements import Announcer
from app.domain.jobs import QUEUES, JobKind
from app.job_queue.hints import HintQueue
from app.live_metrics import LiveMetrics
from app.recovery import Recovery
from app.settings import DatabaseSettings, JobSettings, RedisSettings
from app.storage.database import Database
from app.storage.migrate import upgrade
from tests.bench.section import Section
from tests.bench.seeding import seed_jobs
from worker.sweeper import Sweeper

#: Rounds of the sweeper: once the queue is full, more rounds send nothing.
_ROUNDS = 5

#: Rows of more jobs take long to write, and show nothing else.
_MOST_SEEDED = 10_000


@dataclass(frozen=True)
class HintMemory:
    """Hints that wait, and the bytes that they add to an empty server."""

    waiting_jobs: int
    hints: int
    bytes_added: int

    @property
    def bytes_per_hint(self) -> float:
        """Bytes of one hint, the list itself spread over them."""
        return self.bytes_added / self.hints if self.hints else 0.0


@dataclass(frozen=True)
class HintMemories:
    """The same jobs told of by the API, which sends one hint per approval, and by the scheduler."""

    empty_bytes: int
    by_api: Sequence[HintMemory]
    by_scheduler: Sequence[HintMemory]


def hint_memory(database_url: str, redis_url: str, *, counts: Sequence[int]) -> HintMemories:
    """Let jobs wait, nobody take their hints, and tell what that costs Redis."""
    database = Database(DatabaseSettings(url=SecretStr(database_url)))
    client = redis.Redis.from_url(redis_url)
    try:
        upgrade(database)
        client.flushall()
        empty = _used(client)
        by_api = [_announced(client, count) for count in counts]
        seeded: list[UUID] = []
        by_scheduler = []
        for count in (number for number in counts if number <= _MOST_SEEDED):
            seeded += seed_jobs(database, count - len(seeded), seed=count)
            by_scheduler.append(_swept(database, client, count))
        client.flushall()
    finally:
        client.close()
        database.close()
    return HintMemories(empty, by_api, by_scheduler)


def hint_section(found: HintMemories) -> Section:
    """Return what a hint takes, and what bounds their number."""
    window = JobSettings().window
    over = [memory for memory in found.by_scheduler if memory.hints > window]
    return Section(
        "hints",
        "Redis: hints that wait while no worker runs",
        ("Jobs that wait", "Told by", "Hints in Redis", "Added memory", "Per hint"),
        [
            (
                f"{memory.waiting_jobs:,}",
                teller,
                f"{memory.hints:,}",
                f"{memory.bytes_added / 1024:,.0f} kB",
                f"{memory.bytes_per_hint:,.0f} bytes",
            )
            for teller, memories in (("the API, at approval", found.by_api), ("the scheduler", found.by_scheduler))
            for memory in memories
        ],
        {
            "emptyBytes": found.empty_bytes,
            "window": window,
            "byApi": [asdict(memory) for memory in found.by_api],
            "byScheduler": [asdict(memory) for memory in found.by_scheduler],
        },
        [f"{memory.hints} hints by the scheduler, at most {window} expected" for memory in over],
    )


def _announced(client: redis.Redis, count: int) -> HintMemory:
    client.flushall()
    before = _used(client)
    announcer = Announcer(HintQueue(client, RedisSettings().namespace), LiveMetrics())
    for _ in range(count):
        announcer.announce(JobKind.PHASE1, uuid4())
    return _memory(client, count, before)


def _swept(database: Database, client: redis.Redis, count: int) -> HintMemory:
    client.flushall()
    before = _used(client)
    settings, metrics = JobSettings(), LiveMetrics()
    hints = HintQueue(client, RedisSettings().namespace)
    sweeper = Sweeper(
        database, hints, Recovery(database, Announcer(hints, metrics), settings, metrics), settings, metrics
    )
    for _ in range(_ROUNDS):
        sweeper.dispatch()
    return _memory(client, count, before)


def _memory(client: redis.Redis, count: int, before: int) -> HintMemory:
    hints = HintQueue(client, RedisSettings().namespace).waiting(QUEUES[JobKind.PHASE1])
    return HintMemory(count, hints, _used(client) - before)


def _used(client: redis.Redis) -> int:
    return int(client.info("memory")["used_memory"])
