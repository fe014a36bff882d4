"""Alerts on Redis and the database, and on doing without Redis."""

from __future__ import annotations

from alerting.rules.rule import AlertRule
from app.domain.alerts import DATABASE_DOWN, REDIS_DOWN, REDIS_POOL_EXHAUSTED, SYNC_FALLBACK_ACTIVE
from app.domain.controls import Mode
from app.domain.dashboards import Dashboard
from app.domain.objectives import POOL_RATIO
from app.metrics import (
    ACTIVE_MODE,
    DATABASE_UP,
    FALLBACK_ACTIVE,
    REDIS_CONNECTIONS,
    REDIS_CONNECTIONS_MAX,
    REDIS_UP,
)
from app.promql import level, max_by, select

_HERE = ("environment",)
_POOL = ("environment", "job", "instance", "client")

DEPENDENCY_RULES = (
    AlertRule(
        REDIS_DOWN,
        f"{level(REDIS_UP)} == 0",
        threshold="does not answer for 10 s",
        summary="Redis does not answer",
        description="No web process of {{ $labels.environment }} gets an answer from Redis. Approvals run in place and"
        " the scheduler runs what is due; no job is lost, and less gets done.",
        dashboard=Dashboard.REDIS_AND_RUNTIME,
        for_seconds=10,
    ),
    AlertRule(
        REDIS_POOL_EXHAUSTED,
        f"{max_by(_POOL, select(REDIS_CONNECTIONS))}\n/ {max_by(_POOL, select(REDIS_CONNECTIONS_MAX))} >= {POOL_RATIO}",
        threshold=f"{POOL_RATIO:.0%} of a process's connections, 45 of 50",
        summary="{{ $labels.instance }} runs out of Redis connections",
        description="{{ $labels.job }} {{ $labels.instance }} of {{ $labels.environment }} has opened"
        " {{ $value | humanizePercentage }} of the connections that its {{ $labels.client }} client may open.",
        dashboard=Dashboard.REDIS_AND_RUNTIME,
        for_seconds=60,
    ),
    AlertRule(
        DATABASE_DOWN,
        f"{level(DATABASE_UP)} == 0",
        threshold="does not answer for 10 s",
        summary="The database does not answer",
        description="No web process of {{ $labels.environment }} gets an answer from the database. Nothing can be"
        " approved and no job runs until it is back.",
        dashboard=Dashboard.REDIS_AND_RUNTIME,
        for_seconds=10,
    ),
    AlertRule(
        SYNC_FALLBACK_ACTIVE,
        f"{max_by(_HERE, select(FALLBACK_ACTIVE))} == 1\nor {level(ACTIVE_MODE, mode=Mode.SYNC)} == 1",
        threshold="a scheduler runs jobs itself, or the mode is `sync`",
        summary="Jobs run without the queue",
        description="In {{ $labels.environment }} jobs run in place and by the scheduler, a few at a time: Redis is"
        " away, or somebody has chosen so.",
        dashboard=Dashboard.OVERVIEW,
    ),
)
