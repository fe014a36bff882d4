"""A relay's outbox and its delivery to a fake Slack, for tests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alerting.messages.cards import Card, MessageKind
from alerting.slack.delivery import Delivery
from alerting.slack.outbox import add_message
from alerting.store import Store
from app.domain.alerts import AlertType, Severity
from app.live_metrics import LiveMetrics
from app.metrics import RELAY_METRICS
from app.settings import RelaySettings
from loadtest.slack_server import FakeSlack
from tests.servers import wait_until

STARTED_AT = datetime(2026, 11, 27, 3, 0, tzinfo=UTC)


def card(issue: str, kind: str = "firing", severity: str = "warning", **more: Any) -> Card:
    """Return a card whose title is its issue."""
    ended_at = STARTED_AT if kind == "recovery" else None
    return Card(
        kind=MessageKind(kind),
        issue=issue,
        alert="MarketplaceCircuitOpened",
        type=AlertType.CIRCUIT_OPENED,
        severity=Severity(severity),
        environment="test",
        title=issue,
        started_at=STARTED_AT,
        ended_at=ended_at,
        **more,
    )


@dataclass
class Clock:
    """Real time, and what a test adds to it."""

    ahead_seconds: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_seconds


@dataclass
class Outbox:
    """An outbox, and the deliveries that were started on it."""

    file: Path
    settings: RelaySettings
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.store = Store(self.file)

    def add(self, *cards: Card) -> None:
        """Commit messages, in one transaction."""
        with self.store.write() as connection:
            for each in cards:
                add_message(connection, each, now=self.clock())

    @contextmanager
    def delivering(self) -> Iterator[Delivery]:
        """Yield a delivery that runs."""
        self.metrics = LiveMetrics(metrics=RELAY_METRICS)
        delivery = Delivery(self.store, self.settings, self.metrics, now=self.clock)
        delivery.start()
        try:
            yield delivery
        finally:
            delivery.stop()

    def rows(self) -> list[dict[str, Any]]:
        """Return all messages."""
        with self.store.read() as connection:
            return [dict(row) for row in connection.execute("SELECT * FROM messages ORDER BY id")]

    def states(self) -> list[str]:
        """Return the states of all messages."""
        return [row["state"] for row in self.rows()]

    def all_sent(self) -> bool:
        """Tell whether Slack has taken every message."""
        return set(self.states()) == {"sent"}

    def wait_all_sent(self) -> None:
        """Wait until Slack has taken every message."""
        wait_until(self.all_sent, what="every message to be sent")

    def posts(self) -> int:
        """Return how many messages Slack must have for those that are sent: digests count as one."""
        sent = [row for row in self.rows() if row["state"] == "sent"]
        return len({row["digest"] or -row["id"] for row in sent})

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of a metric."""
        return self.metrics.registry.get_sample_value(name, labels)

    def wait_value(self, expected: float, name: str, *, seconds: float = 20.0, **labels: str) -> None:
        """Wait until a metric has this value: it is counted after the commit that a test may have waited for."""
        wait_until(lambda: self.value(name, **labels) == expected, seconds=seconds, what=f"{name} to be {expected}")


def titles(slack: FakeSlack, channel: str = "alerts") -> list[str]:
    """Return the texts of a channel's messages."""
    return [message.text for message in slack.inbox.messages() if message.channel == channel]
