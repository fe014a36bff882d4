"""What Alertmanager does not send while something else fires, of which it is a consequence."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.alerts import (
    ALL_CIRCUITS_OPEN,
    CIRCUIT_OPENED,
    DATABASE_DOWN,
    JOB_LATENCY_BURN_DAY,
    JOB_LATENCY_BURN_SLOW,
    JOB_LATENCY_BURN_THREE_DAYS,
    METRICS_ABSENT,
    NO_WORKERS,
    QUEUE_BACKED_UP,
    QUEUE_DRAINS_SLOWLY,
    QUEUE_STALLED,
    REDIS_DOWN,
    SYNC_FALLBACK_ACTIVE,
    TARGET_DOWN,
    WORKERS_SATURATED,
    Alert,
)
from app.domain.observers import OBSERVER_JOBS


@dataclass(frozen=True)
class Inhibition:
    """While `source` fires, `targets` of the same environment are not sent."""

    source: Alert
    targets: tuple[Alert, ...]
    #: Matchers of the source beside its name, as Alertmanager reads them.
    where: tuple[str, ...] = ()


_QUEUES = (QUEUE_BACKED_UP, QUEUE_DRAINS_SLOWLY, QUEUE_STALLED, NO_WORKERS, WORKERS_SATURATED)

#: Nothing holds back what tells that the relay is unwell: it is how the rest arrives.
INHIBITIONS: tuple[Inhibition, ...] = (
    # Levels are read by the web process: without it they are absent, whatever Redis and the queues do. An observer that
    # is gone explains nothing of that.
    Inhibition(
        TARGET_DOWN, (REDIS_DOWN, METRICS_ABSENT, *_QUEUES), where=(f'job!~"{"|".join(sorted(OBSERVER_JOBS))}"',)
    ),
    Inhibition(DATABASE_DOWN, (METRICS_ABSENT, *_QUEUES)),
    Inhibition(REDIS_DOWN, _QUEUES),
    Inhibition(SYNC_FALLBACK_ACTIVE, _QUEUES),
    Inhibition(ALL_CIRCUITS_OPEN, (CIRCUIT_OPENED,)),
    # Jobs wait for an agent that does not answer, until its circuit opens; the budget that this took is told of once
    # the circuit is closed, if it still burns. The fast burn wakes somebody in any case, and slow refusals are no
    # consequence: an open circuit is there to prevent them.
    Inhibition(CIRCUIT_OPENED, (JOB_LATENCY_BURN_SLOW, JOB_LATENCY_BURN_DAY, JOB_LATENCY_BURN_THREE_DAYS)),
)
