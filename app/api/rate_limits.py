"""Rate limits, counted over all web processes; by each one alone while Redis does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from apiflask import APIFlask
from flask import Response, g, request
from flask_limiter import ApplicationLimit, Limiter, RateLimitExceeded
from redis import Redis

from app.api.limit_storage import SCHEME
from app.api.problems import answer_error
from app.domain.errors import RateLimitedError
from app.job_queue.gate import RedisGate
from app.settings import WebSettings

#: Seconds of the window that limits speak of, and what a refused caller is told when nobody knows better.
_WINDOW_SECONDS = 60


class RateLimits:
    """A limit for each token, and one for failed authentications from each address.

    A valid token passes whatever others at its address do: failures only ever refuse failures.
    """

    def __init__(self, settings: WebSettings, redis: Redis, gate: RedisGate, *, namespace: str) -> None:
        self._failures_per_minute = settings.rate_limit_auth_failures_per_minute
        per_token = settings.rate_limit_per_minute
        options: dict[str, Any] = {
            "pool": redis.connection_pool,
            "gate": gate,
            "key_prefix": f"{namespace}:limits",
        }
        self._limiter = Limiter(
            _caller_name,
            application_limits=[ApplicationLimit(f"{per_token} per minute", scope="token", exempt_when=_is_unknown)]
            if per_token
            else [],
            storage_uri=f"{SCHEME}://",
            storage_options=options,
            strategy="fixed-window",
        )

    def apply(self, app: APIFlask) -> None:
        """Limit the requests of this app from here on; callers must be known by then."""
        self._limiter.init_app(app)
        app.register_error_handler(RateLimitExceeded, self._tell)

    def count_failure(self) -> Callable[[], None]:
        """Return the function that counts one failed authentication of the present request's address."""
        if not self._failures_per_minute:
            return lambda: None

        @self._limiter.shared_limit(
            f"{self._failures_per_minute} per minute", scope="failed authentication", key_func=_address
        )
        def count_authentication_failure() -> None:
            """Pass, unless this address has failed too often."""

        return count_authentication_failure

    def _tell(self, _error: RateLimitExceeded) -> Response:
        return answer_error(
            RateLimitedError("too many requests within a minute", retry_after_seconds=self._seconds_to_wait())
        )

    def _seconds_to_wait(self) -> float:
        limit = self._limiter.current_limit
        return min(max(limit.reset_at - time.time(), 1), _WINDOW_SECONDS) if limit else _WINDOW_SECONDS


def _caller_name() -> str:
    return str(g.actor.name)


def _is_unknown() -> bool:
    return "actor" not in g


def _address() -> str:
    return request.remote_addr or "unknown"
