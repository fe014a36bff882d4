from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import text

from app.levels import Levels
from app.settings import DatabaseSettings, WebSettings
from app.storage.database import Database
from tests.api import Api
from tests.redis_states import frozen
from tests.servers import running_valkey

#: Longer than any budget, and shorter than what a source that does not answer is given by its own client.
SOON_SECONDS = 30.0
PATIENCE_SECONDS = 60.0


@contextmanager
def levels_of(api: Api, *, redis: Redis | None = None, database: Database | None = None) -> Iterator[Levels]:
    """Yield levels with a budget that a busy machine keeps to, which are read anew each time."""
    levels = Levels(
        database or api.runtime.database,
        redis or api.runtime.redis,
        api.runtime.breakers,
        api.settings.jobs,
        WebSettings(levels_cache_seconds=0, levels_budget_seconds=3.0),
    )
    yield levels
    levels.close()
    # A reading that nobody waits for any more still has its connection.
    for source in levels._sources:
        source._thread.shutdown(wait=True)


def told(levels: Levels) -> dict[str, float]:
    """Return one sample of each family that has any."""
    began = time.monotonic()
    found = {sample.name: sample.value for family in levels.collect() for sample in family.samples}
    assert time.monotonic() - began < SOON_SECONDS
    return found


@contextmanager
def locked(api: Api) -> Iterator[None]:
    """Keep every reader out of the database."""
    if api.runtime.database.dialect == "postgresql":
        with api.runtime.database.write() as connection:
            connection.execute(text("LOCK TABLE marketplace_job_executions IN ACCESS EXCLUSIVE MODE"))
            yield
        return
    path = api.settings.database.url.get_secret_value().removeprefix("sqlite:///")
    api.runtime.database.close()
    with sqlite3.connect(path, isolation_level=None) as alone:
        alone.execute("PRAGMA locking_mode=EXCLUSIVE")
        alone.execute("BEGIN EXCLUSIVE")
        yield
        alone.execute("ROLLBACK")
    alone.close()


def test_a_locked_database_is_left_out_and_redis_is_told(api: Api) -> None:
    patient = Database(DatabaseSettings(url=api.settings.database.url, lock_timeout_seconds=PATIENCE_SECONDS))
    with levels_of(api, database=patient) as levels, locked(api):
        found = told(levels)
    patient.close()
    assert found["marketplace_redis_up"] == 1
    # A lock on a table of PostgreSQL keeps nobody from asking for an answer.
    assert found["marketplace_database_up"] == (api.runtime.database.dialect == "postgresql")
    assert not [name for name in found if name.startswith(("marketplace_queue", "marketplace_jobs"))]


def test_a_database_that_is_free_again_is_told_again(api: Api) -> None:
    api.approved()
    with locked(api):
        pass
    assert api.get("/api/metrics", None).get_data(as_text=True).count("marketplace_queue_pending_jobs{") == 2


def test_a_frozen_redis_is_down_and_the_database_is_told(sqlite_template: Path, tmp_path: Path) -> None:
    shutil.copyfile(sqlite_template, tmp_path / "api.db")
    with running_valkey(tmp_path) as url:
        api = Api(f"sqlite:///{tmp_path / 'api.db'}", url)
        patient = Redis.from_url(url, socket_timeout=PATIENCE_SECONDS, retry=Retry(NoBackoff(), 0))
        try:
            with levels_of(api, redis=patient) as levels, frozen(url):
                found = told(levels)
            assert found["marketplace_redis_up"] == 0
            assert "marketplace_redis_memory_bytes" not in found
            assert "marketplace_queue_pending_jobs" in found
        finally:
            patient.close()
            api.close()


def test_a_storm_of_scrapes_reads_each_source_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    read = api.runtime.database.read

    @contextmanager
    def counted() -> Iterator[object]:
        reads.append(1)
        with read() as connection:
            yield connection

    monkeypatch.setattr(api.runtime.database, "read", counted)
    levels = Levels(
        api.runtime.database,
        api.runtime.redis,
        api.runtime.breakers,
        api.settings.jobs,
        WebSettings(levels_cache_seconds=60, levels_budget_seconds=10),
    )
    try:
        for _ in range(20):
            assert "marketplace_queue_pending_jobs" in told(levels)
        # The levels, the finished jobs, and whether it answers at all.
        assert len(reads) == 3
    finally:
        levels.close()
