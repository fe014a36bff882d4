"""The second way to people: a generic webhook that is told when Slack does not take messages, and when it does."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from pydantic import SecretStr

from alerting.slack.outbox import Backlog, backlog
from alerting.slack.route_health import RouteHealth, load_health, mark_second_told
from alerting.slack.routes import Route
from alerting.store import Store
from app.domain.deadline import Deadline
from app.domain.errors import MarketplaceError
from app.outbound import Outbound, raise_for_status

_log = structlog.stdlib.get_logger(__name__)

#: For how long a route must have failed; shorter outages are made good by themselves.
TELL_AFTER_SECONDS = 120.0

#: Pause after an attempt that failed.
_AGAIN_SECONDS = 30.0


class SecondRoute:
    """Tells of each outage once, and of its end."""

    def __init__(
        self, store: Store, outbound: Outbound, url: SecretStr, *, timeout_seconds: float, now: Callable[[], float]
    ) -> None:
        self._store = store
        self._outbound = outbound
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._now = now
        self._next_attempt_at = 0.0

    def tell(self, route: Route) -> None:
        """Tell what there is to tell about a route; call it about once a second."""
        now = self._now()
        with self._store.read() as connection:
            health, waits = load_health(connection, route.key), backlog(connection, route.severities)
        long = health.failing_since is not None and now - health.failing_since > TELL_AFTER_SECONDS
        returned = health.failing_since is None and health.second_told
        if (not returned and (health.second_told or not long)) or 0 < self._next_attempt_at - now <= _AGAIN_SECONDS:
            return
        try:
            self._post(_message(route, health, waits, now))
        except MarketplaceError as error:
            self._next_attempt_at = now + _AGAIN_SECONDS
            _log.error("second_route_failed", route=route.name, error_code=error.code)
            return
        with self._store.write() as connection:
            mark_second_told(connection, route.key, told=not returned)

    def _post(self, message: dict[str, object]) -> None:
        headers = {"Content-Type": "application/json"}
        deadline = Deadline.after(self._timeout_seconds)
        url = self._url.get_secret_value()
        raise_for_status(self._outbound.post(url, json.dumps(message).encode(), headers, deadline, head_only=True))


def _message(route: Route, health: RouteHealth, waits: Backlog, now: float) -> dict[str, object]:
    since = None if health.failing_since is None else datetime.fromtimestamp(health.failing_since, UTC).isoformat()
    says = "takes messages again" if since is None else "has not taken messages for more than 2 minutes"
    return {
        "text": f"Marketplace alerts: Slack {says} (severity {route.name}).",
        "waiting": waits.messages,
        "oldestSeconds": round(waits.oldest_seconds(now), 1),
        "since": since,
    }
