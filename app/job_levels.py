"""Levels of jobs: whether each accepted one is somewhere, and how the queues stand."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from prometheus_client.core import GaugeMetricFamily
from sqlalchemy import Connection

from app.domain.conservation import LossKind
from app.domain.jobs import QUEUES, JobStatus
from app.domain.stuck_plans import StuckCause
from app.metrics import (
    COMING_DUE,
    JOBS_ACCEPTED,
    JOBS_ACCOUNTED,
    JOBS_UNACCOUNTED,
    QUEUE_DELAYED,
    QUEUE_OLDEST,
    Metric,
)
from app.storage.conservation import count_accepted, count_faults, in_state
from app.storage.waiting_jobs import count_coming_due, oldest_claimable_seconds

#: What `job_levels` returns.
JOB_LEVELS = (QUEUE_OLDEST, QUEUE_DELAYED, JOBS_ACCEPTED, JOBS_ACCOUNTED, JOBS_UNACCOUNTED)

#: Losses that the search for stuck plans finds.
_STUCK = {
    LossKind.PLAN_WITHOUT_JOB: StuckCause.NO_JOB,
    LossKind.PLAN_NOT_LATCHED: StuckCause.NOT_LATCHED,
    LossKind.NO_DEAD_LETTER: StuckCause.NO_DEAD_LETTER,
}


def job_levels(connection: Connection, stuck: Mapping[StuckCause, int]) -> list[GaugeMetricFamily]:
    """Read the levels; `stuck` are the plans found stuck in the same transaction.

    Raises:
        DatabaseUnavailableError: The database did not answer.
    """
    return [*_of_waiting(connection), *_of_conservation(connection, stuck)]


def _of_waiting(connection: Connection) -> list[GaugeMetricFamily]:
    oldest, delayed = _family(QUEUE_OLDEST), _family(QUEUE_DELAYED)
    ages = oldest_claimable_seconds(connection)
    coming = count_coming_due(connection, tuple(COMING_DUE))
    for kind, queue in QUEUES.items():
        oldest.add_metric([queue], ages[kind])
        for seconds, name in COMING_DUE.items():
            delayed.add_metric([queue, name], coming[kind, seconds])
    return [oldest, delayed]


def _of_conservation(connection: Connection, stuck: Mapping[StuckCause, int]) -> list[GaugeMetricFamily]:
    found = in_state(count_accepted(connection))
    faults = count_faults(connection)
    accepted, accounted, unaccounted = _family(JOBS_ACCEPTED), _family(JOBS_ACCOUNTED), _family(JOBS_UNACCOUNTED)
    for kind, queue in QUEUES.items():
        accepted.add_metric([queue], sum(count for (of, _), count in found.items() if of is kind))
    for (kind, queue), state in product(QUEUES.items(), JobStatus):
        accounted.add_metric([queue, state], found.get((kind, state), 0))
    losses = {
        LossKind.JOB_MISSING: sum(count for (_, state), count in found.items() if state is None),
        LossKind.NOT_ACCEPTED: faults.not_accepted,
        LossKind.TASKS_MISSING: faults.tasks_missing,
        **{loss: stuck[cause] for loss, cause in _STUCK.items()},
    }
    for loss in LossKind:
        unaccounted.add_metric([loss], losses[loss])
    return [accepted, accounted, unaccounted]


def _family(metric: Metric) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.help, labels=tuple(metric.labels))
