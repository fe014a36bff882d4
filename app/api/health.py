"""Health, for probes and people: public, and answered in time whatever hangs."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

from apiflask import APIBlueprint

from app.api.operation import operation
from app.api.shapes import Answer
from app.api.wiring import runtime
from app.health import Health, HealthStatus

health = APIBlueprint("health", __name__, url_prefix="/api/health")


class Alive(Answer):
    """This process answers."""

    status: Literal["alive"]


class Connected(Answer):
    """A dependency answers; `latency` like `2ms`, rounded up."""

    status: Literal[HealthStatus.CONNECTED]
    latency: str


class NotConnected(Answer):
    """A dependency cannot be used."""

    status: Literal[HealthStatus.DISCONNECTED, HealthStatus.NOT_MIGRATED]


class Readiness(Answer):
    """Whether this process can serve. Redis is told and not needed: without it, jobs start later."""

    status: Literal["ready", "not_ready"]
    database: HealthStatus
    redis: HealthStatus


@operation(health, "GET", "/live", access="public", answers={200: Alive})
def tell_live() -> Alive:
    """Tell that this process answers."""
    return Alive(status="alive")


@operation(health, "GET", "/ready", access="public", answers={200: Readiness, 503: Readiness})
def tell_ready() -> tuple[Readiness, int]:
    """Tell whether this process can serve."""
    database, redis = runtime().health.database(), runtime().health.redis()
    # Whoever waits for readiness may use the token of the settings next.
    is_ready = database.ok and runtime().bootstrap_token.is_done
    readiness = Readiness(status="ready" if is_ready else "not_ready", database=database.status, redis=redis.status)
    return readiness, HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE


@operation(health, "GET", "/redis", access="public", answers={200: Connected, 503: NotConnected})
def tell_redis() -> tuple[Connected | NotConnected, int]:
    """Tell whether Redis answers, and how fast."""
    return _answer(runtime().health.redis())


@operation(health, "GET", "/database", access="public", answers={200: Connected, 503: NotConnected})
def tell_database() -> tuple[Connected | NotConnected, int]:
    """Tell whether the database answers and has its tables, and how fast."""
    return _answer(runtime().health.database())


def _answer(found: Health) -> tuple[Connected | NotConnected, int]:
    if found.status is HealthStatus.CONNECTED:
        return Connected(status=found.status, latency=found.latency or ""), HTTPStatus.OK
    return NotConnected(status=found.status), HTTPStatus.SERVICE_UNAVAILABLE
