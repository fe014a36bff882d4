"""Delivery of messages to Slack."""

from __future__ import annotations

from collections.abc import Sequence

from alerting.store import Store
from app.live_metrics import LiveMetrics
from app.settings.relay import RelaySettings


class Delivery:
    """Sends what waits in the outbox."""

    def __init__(self, store: Store, settings: RelaySettings, metrics: LiveMetrics) -> None:
        del store, settings, metrics

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End."""

    def problems(self) -> Sequence[str]:
        """Return what only a restart mends."""
        return []
