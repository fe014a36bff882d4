"""Whether Redis answers, and how fast."""

from __future__ import annotations

import time
from dataclasses import dataclass

from redis import Redis, RedisError


@dataclass(frozen=True)
class RedisHealth:
    """`latency_ms` is None when Redis does not answer; `error` then names the kind of failure."""

    latency_ms: float | None
    error: str | None = None


def check_redis(client: Redis) -> RedisHealth:
    """Ping Redis once; takes no longer than the client's own timeouts."""
    started = time.perf_counter()
    try:
        client.ping()
    except RedisError as error:
        return RedisHealth(latency_ms=None, error=type(error).__name__)
    return RedisHealth(latency_ms=(time.perf_counter() - started) * 1000)
