"""What happens to messages that no webhook and no channel is there for: they are logged, and that is all."""

from __future__ import annotations

from collections.abc import Callable

from alerting.slack import waiting
from alerting.slack.card_log import log_card
from alerting.slack.routes import Route
from alerting.store import Store
from app.live_metrics import LiveMetrics
from app.metrics import RELAY_MESSAGES

_IDLE_SECONDS = 1.0
_BATCH = 100


class LogOnly:
    """Stands for the sender of a route without a destination."""

    problem = None

    def __init__(self, store: Store, route: Route, metrics: LiveMetrics, *, now: Callable[[], float]) -> None:
        self.route = route
        self._store = store
        self._metrics = metrics
        self._now = now

    def step(self) -> float:
        """Log some of what waits; return after how many seconds there may be more."""
        with self._store.read() as connection:
            messages = waiting.oldest(connection, self.route.severities, most=_BATCH)
        if not messages:
            return _IDLE_SECONDS
        for message in messages:
            log_card(message.card)
        with self._store.write() as connection:
            for message in messages:
                waiting.end(connection, message, "logged", now=self._now())
        for message in messages:
            self._metrics.count(RELAY_MESSAGES, kind=message.card.kind, outcome="logged")
        return 0.0
