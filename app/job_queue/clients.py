"""Clients of Redis: a patient one for workers, and one that fails fast for the request path.

Both try once, draw on a pool that blocks at its cap instead of failing, and are measured.
"""

from __future__ import annotations

import time
from typing import Any, Literal

from redis import BlockingConnectionPool, Redis
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.retry import Retry

from app.live_metrics import LiveMetrics
from app.metrics import REDIS_COMMANDS, REDIS_CONNECTIONS, REDIS_CONNECTIONS_MAX, REDIS_DURATION
from app.settings import RedisSettings

Temper = Literal["patient", "fail_fast"]


class MeasuredPool(BlockingConnectionPool):
    """Blocking pool that counts the connections which it has made."""

    metrics: LiveMetrics
    temper: Temper

    def make_connection(self) -> Any:  # noqa: ANN401 -- the library's signature
        """Make a connection, and count it; the pool keeps it for good."""
        connection = super().make_connection()  # type: ignore[no-untyped-call]
        self.metrics.add(REDIS_CONNECTIONS, 1, client=self.temper)
        return connection


class MeasuredRedis(Redis):
    """Client that counts and times its commands."""

    metrics: LiveMetrics
    temper: Temper

    def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 -- the library's signature
        """Send one command; its outcome and its time become metrics."""
        started = time.perf_counter()
        outcome = "failed"
        try:
            answer = super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
            outcome = "ok"
        finally:
            self.metrics.count(REDIS_COMMANDS, client=self.temper, outcome=outcome)
            self.metrics.observe(REDIS_DURATION, time.perf_counter() - started, client=self.temper)
        return answer


def patient_client(settings: RedisSettings, metrics: LiveMetrics) -> MeasuredRedis:
    """Return the client for workers: it waits long for an answer, for a wait for hints is one.

    It does not try again by itself: sent twice, a command that takes hints loses those of the first answer.
    """
    return _client(
        settings,
        metrics,
        temper="patient",
        timeout_seconds=settings.timeout_seconds,
        wait_seconds=settings.pool_wait_seconds,
    )


def fail_fast_client(settings: RedisSettings, metrics: LiveMetrics) -> MeasuredRedis:
    """Return the client for the request path: one short try, for Redis may be down and the answer must not wait."""
    return _client(
        settings,
        metrics,
        temper="fail_fast",
        timeout_seconds=settings.fail_fast_timeout_seconds,
        wait_seconds=settings.fail_fast_timeout_seconds,
    )


def reconnect_pause_seconds(settings: RedisSettings, failures: int) -> float:
    """Return how long who tries again waits after this many failures in a row (>= 1), with jitter."""
    backoff = ExponentialWithJitterBackoff(base=settings.reconnect_base_seconds, cap=settings.reconnect_cap_seconds)
    # The library raises two to this power, and a float ends at 1024.
    return backoff.compute(min(failures, 32))


def _client(
    settings: RedisSettings,
    metrics: LiveMetrics,
    *,
    temper: Temper,
    timeout_seconds: float,
    wait_seconds: float,
) -> MeasuredRedis:
    url = settings.full_url.get_secret_value()
    options: dict[str, Any] = {}
    if url.startswith("rediss://"):
        options["ssl_check_hostname"] = settings.tls_check_hostname
        if settings.tls_ca_file is not None:
            options["ssl_ca_certs"] = str(settings.tls_ca_file)
    pool = MeasuredPool.from_url(
        url,
        max_connections=settings.pool_max_connections,
        timeout=wait_seconds,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        **options,
    )
    client = MeasuredRedis(connection_pool=pool)
    for measured in (pool, client):
        measured.metrics = metrics
        measured.temper = temper
    # A process has several clients of one temper; each may fill its own pool.
    metrics.add(REDIS_CONNECTIONS_MAX, settings.pool_max_connections, client=temper)
    return client
