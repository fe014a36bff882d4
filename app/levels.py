"""Levels: figures that are read at their source when somebody scrapes, so that they survive restarts of ours.

A level whose source does not answer is left out: an absent series says "unknown", and 0 would be a lie.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis import Redis, RedisError

from app.domain.errors import DatabaseUnavailableError
from app.domain.jobs import QUEUES, JobStatus
from app.metrics import (
    QUEUE_ACTIVE,
    QUEUE_COMPLETED,
    QUEUE_FAILED,
    QUEUE_PENDING,
    REDIS_CLIENTS,
    REDIS_MEMORY,
    REDIS_UP,
    STUCK_PLANS,
    Metric,
)
from app.storage.database import Database
from app.storage.job_reads import count_jobs
from app.storage.stuck_plans import count_stuck_plans

_log = structlog.stdlib.get_logger(__name__)

_BY_STATUS = {
    JobStatus.PENDING: QUEUE_PENDING,
    JobStatus.ACTIVE: QUEUE_ACTIVE,
    JobStatus.COMPLETED: QUEUE_COMPLETED,
    JobStatus.FAILED: QUEUE_FAILED,
}


class Levels(Collector):
    """Reads queue depths and stuck plans from the database, and Redis' own figures from Redis."""

    def __init__(self, database: Database, redis: Redis, *, stuck_after_seconds: float) -> None:
        self._database = database
        self._redis = redis
        self._stuck_after_seconds = stuck_after_seconds

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return the levels without figures; registering asks nobody."""
        for metric in (*_BY_STATUS.values(), STUCK_PLANS, REDIS_UP, REDIS_CLIENTS, REDIS_MEMORY):
            yield GaugeMetricFamily(metric.name, metric.help)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read every level once."""
        try:
            yield from self._of_database()
        except DatabaseUnavailableError as error:
            _log.warning("levels_not_read", source="database", reason=str(error))
        yield from self._of_redis()

    def _of_database(self) -> list[GaugeMetricFamily]:
        with self._database.read() as connection:
            counted = {(count.kind, count.status): count.count for count in count_jobs(connection)}
            stuck = count_stuck_plans(connection, older_than_seconds=self._stuck_after_seconds)
        families = [_gauge(STUCK_PLANS, stuck)]
        for status, metric in _BY_STATUS.items():
            family = GaugeMetricFamily(metric.name, metric.help, labels=tuple(metric.labels))
            for kind, queue in QUEUES.items():
                family.add_metric([queue], counted.get((kind, status), 0))
            families.append(family)
        return families

    def _of_redis(self) -> list[GaugeMetricFamily]:
        try:
            figures = self._redis.info()
            clients, memory = figures["connected_clients"], figures["used_memory"]
        except (RedisError, KeyError) as error:
            _log.warning("levels_not_read", source="redis", reason=type(error).__name__)
            return [_gauge(REDIS_UP, 0)]
        return [_gauge(REDIS_UP, 1), _gauge(REDIS_CLIENTS, clients), _gauge(REDIS_MEMORY, memory)]


def _gauge(metric: Metric, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.help, value=value)
