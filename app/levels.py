"""Levels: figures that are read at their source when somebody scrapes, so that they survive restarts of ours.

A level whose source does not answer in time is left out: an absent series says "unknown", and 0 would be a lie.
However many scrapes come at once, each source is read once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis import Redis

from app.breaker_status import RATE_SECONDS
from app.breakers.breakers import Breakers
from app.breakers.circuit_view import CircuitView
from app.domain.breaker import CircuitState
from app.domain.controls import HELD, MODE, Mode, queue_control
from app.domain.dead_letters import ErrorClass
from app.domain.deadline import Deadline
from app.domain.jobs import QUEUES, JobKind, JobStatus
from app.domain.processes import ProcessRole
from app.domain.stuck_plans import StuckCause
from app.job_levels import JOB_LEVELS, job_levels
from app.metrics import (
    ACTIVE_MODE,
    AGENT_ERROR_RATE,
    BREAKER_STATE,
    DATABASE_UP,
    DEAD_LETTERS,
    NOTICES_OLDEST,
    NOTICES_WAITING,
    PROCESSES,
    QUEUE_ACTIVE,
    QUEUE_COMPLETED,
    QUEUE_FAILED,
    QUEUE_PAUSED,
    QUEUE_PENDING,
    REDIS_CLIENTS,
    REDIS_MEMORY,
    REDIS_UP,
    STUCK_PLANS,
    Metric,
)
from app.settings import JobSettings, WebSettings
from app.storage.agent_calls import CallCounts, count_calls
from app.storage.controls import Control, all_controls
from app.storage.database import Database
from app.storage.job_reads import DeadLetterCount, JobCount, count_dead_letters, count_jobs, count_open_jobs
from app.storage.notice_deliveries import waiting_notices
from app.storage.processes import count_processes
from app.storage.stuck_plans import count_stuck_plans
from app.timely_source import TimelySource

_OPEN = {JobStatus.PENDING: QUEUE_PENDING, JobStatus.ACTIVE: QUEUE_ACTIVE}
_FINISHED = {JobStatus.COMPLETED: QUEUE_COMPLETED, JobStatus.FAILED: QUEUE_FAILED}
_REDIS = (REDIS_UP, REDIS_CLIENTS, REDIS_MEMORY)


class Levels(Collector):
    """Reads each level at its source: the database, Redis, and for circuits this process, which follows them."""

    def __init__(
        self,
        database: Database,
        redis: Redis,
        breakers: Breakers,
        settings: JobSettings,
        web: WebSettings,
    ) -> None:
        self._database = database
        self._redis = redis
        self._breakers = breakers
        self._settings = settings
        self._budget_seconds = web.levels_budget_seconds
        self._sources = (
            TimelySource("database", self._of_database, cache_seconds=web.levels_cache_seconds),
            # Apart, for counting them takes the longer the more there are: the others must not go with them.
            TimelySource("finished jobs", self._of_finished_jobs, cache_seconds=web.levels_cache_seconds),
            # Apart as well: a database that is slow to count is not away.
            TimelySource(
                "database's answer",
                self._of_answer,
                cache_seconds=web.levels_cache_seconds,
                silent=[_gauge(DATABASE_UP, 0)],
            ),
            TimelySource("redis", self._of_redis, cache_seconds=web.levels_cache_seconds, silent=[_gauge(REDIS_UP, 0)]),
        )

    def close(self) -> None:
        """End the threads that read."""
        for source in self._sources:
            source.close()

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return the levels without figures; registering asks nobody."""
        for metric in (
            *_OPEN.values(),
            *_FINISHED.values(),
            QUEUE_PAUSED,
            *JOB_LEVELS,
            ACTIVE_MODE,
            STUCK_PLANS,
            DEAD_LETTERS,
            BREAKER_STATE,
            AGENT_ERROR_RATE,
            PROCESSES,
            NOTICES_WAITING,
            NOTICES_OLDEST,
            DATABASE_UP,
            *_REDIS,
        ):
            yield GaugeMetricFamily(metric.name, metric.help)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield every level that its source tells within the budget."""
        deadline = Deadline.after(self._budget_seconds)
        # All at once: one that is slow takes nothing from the others' time.
        readings = [(source, source.ask()) for source in self._sources]
        for source, reading in readings:
            yield from source.levels(reading, deadline)
        yield _of_breakers(self._breakers.views())

    def _of_database(self) -> list[GaugeMetricFamily]:
        with self._database.read() as connection:
            open_jobs = count_open_jobs(connection)
            stuck = count_stuck_plans(connection, self._settings)
            controls = all_controls(connection)
            letters = count_dead_letters(connection)
            calls = count_calls(connection, within_seconds=RATE_SECONDS)
            of_jobs = job_levels(connection, stuck)
            processes = count_processes(connection, within_seconds=self._settings.lease_seconds)
            notices = waiting_notices(connection)
        agents = [view.agent for view in self._breakers.views()]
        return [
            *_of_counts(_OPEN, open_jobs),
            *of_jobs,
            _of_stuck_plans(stuck),
            *_of_controls(controls),
            _of_letters(letters),
            _of_error_rates(agents, calls),
            _of_processes(processes),
            _gauge(NOTICES_WAITING, notices.count),
            _gauge(NOTICES_OLDEST, notices.oldest_seconds),
        ]

    def _of_finished_jobs(self) -> list[GaugeMetricFamily]:
        with self._database.read() as connection:
            finished = count_jobs(connection)
        return list(_of_counts(_FINISHED, finished))

    def _of_answer(self) -> list[GaugeMetricFamily]:
        self._database.check()
        return [_gauge(DATABASE_UP, 1)]

    def _of_redis(self) -> list[GaugeMetricFamily]:
        figures = self._redis.info()
        return [
            _gauge(REDIS_UP, 1),
            _gauge(REDIS_CLIENTS, figures["connected_clients"]),
            _gauge(REDIS_MEMORY, figures["used_memory"]),
        ]


def _of_counts(metrics: Mapping[JobStatus, Metric], counts: Sequence[JobCount]) -> Iterator[GaugeMetricFamily]:
    counted = {(count.kind, count.status): count.count for count in counts}
    for status, metric in metrics.items():
        family = GaugeMetricFamily(metric.name, metric.help, labels=tuple(metric.labels))
        for kind, queue in QUEUES.items():
            family.add_metric([queue], counted.get((kind, status), 0))
        yield family


def _of_controls(controls: Mapping[str, Control]) -> Iterator[GaugeMetricFamily]:
    mode = GaugeMetricFamily(ACTIVE_MODE.name, ACTIVE_MODE.help, labels=tuple(ACTIVE_MODE.labels))
    for value in Mode:
        mode.add_metric([value], controls[MODE].value == value)
    yield mode
    paused = GaugeMetricFamily(QUEUE_PAUSED.name, QUEUE_PAUSED.help, labels=tuple(QUEUE_PAUSED.labels))
    for kind, queue in QUEUES.items():
        paused.add_metric([queue], controls[queue_control(kind)].value in HELD)
    yield paused


def _of_breakers(views: Sequence[CircuitView]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(BREAKER_STATE.name, BREAKER_STATE.help, labels=tuple(BREAKER_STATE.labels))
    for view, state in product(views, CircuitState):
        family.add_metric([view.agent, state], view.state is state)
    return family


def _of_error_rates(agents: Sequence[str], calls: Mapping[str, CallCounts]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(AGENT_ERROR_RATE.name, AGENT_ERROR_RATE.help, labels=tuple(AGENT_ERROR_RATE.labels))
    for agent in agents:
        rate = calls[agent].error_rate if agent in calls else None
        if rate is not None:
            family.add_metric([agent], rate)
    return family


def _of_stuck_plans(counts: Mapping[StuckCause, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(STUCK_PLANS.name, STUCK_PLANS.help, labels=tuple(STUCK_PLANS.labels))
    for cause, count in counts.items():
        family.add_metric([cause], count)
    return family


def _of_letters(counts: Sequence[DeadLetterCount]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(DEAD_LETTERS.name, DEAD_LETTERS.help, labels=tuple(DEAD_LETTERS.labels))
    for kind, error_class in product((*JobKind, None), ErrorClass):
        waiting = sum(found.count for found in counts if (found.kind, found.error_class) == (kind, error_class))
        family.add_metric([kind or "none", error_class], waiting)
    return family


def _of_processes(counts: Mapping[ProcessRole, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(PROCESSES.name, PROCESSES.help, labels=tuple(PROCESSES.labels))
    for role, count in counts.items():
        family.add_metric([role], count)
    return family


def _gauge(metric: Metric, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.help, value=value)
