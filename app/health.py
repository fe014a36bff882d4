"""Whether the things that the product depends on answer, told in time even when they do not."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from time import perf_counter

import structlog
from redis import Redis

from app.domain.errors import RedisUnavailableError
from app.job_queue.health import check_redis
from app.storage.database import Database
from app.storage.revisions import current_revision, is_migrated

_log = structlog.stdlib.get_logger(__name__)

#: An answer that takes longer is none: whoever asks is told within a second, also by a process that waits for its turn.
LIMIT_SECONDS = 0.5

_THREADS = 4


class HealthStatus(StrEnum):
    """How a dependency is."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    NOT_MIGRATED = "not_migrated"
    """The database answers, and lacks tables that this version needs."""


@dataclass(frozen=True)
class Health:
    """How a dependency is; `latency` like `2ms`, rounded up, None when it did not answer."""

    status: HealthStatus
    latency: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it can be used."""
        return self.status is HealthStatus.CONNECTED


class HealthChecks:
    """Checks in threads of their own, for no timeout of a client holds against everything that a server can do.

    Safe to use from many threads. When all of its threads hang, an answer is "disconnected".
    """

    def __init__(self, database: Database, redis: Redis) -> None:
        self._database = database
        self._redis = redis
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="health")

    def redis(self) -> Health:
        """Tell whether Redis answers."""
        return self._timely(self._ping_redis)

    def database(self) -> Health:
        """Tell whether the database answers and has its tables."""
        return self._timely(self._read_revision)

    def close(self) -> None:
        """End the threads as soon as their checks let them."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ping_redis(self) -> HealthStatus:
        if check_redis(self._redis).error is not None:
            raise RedisUnavailableError("Redis does not answer")
        return HealthStatus.CONNECTED

    def _read_revision(self) -> HealthStatus:
        return HealthStatus.CONNECTED if is_migrated(current_revision(self._database)) else HealthStatus.NOT_MIGRATED

    def _timely(self, check: Callable[[], HealthStatus]) -> Health:
        started = perf_counter()
        asked = self._threads.submit(check)
        try:
            status = asked.result(LIMIT_SECONDS)
        except Exception as error:  # noqa: BLE001 -- a server that talks nonsense makes its client raise anything
            asked.cancel()
            _log.warning("health_check_failed", check=check.__name__.strip("_"), reason=type(error).__name__)
            return Health(HealthStatus.DISCONNECTED)
        return Health(status, f"{math.ceil((perf_counter() - started) * 1000)}ms")
