"""A hundred thousand messages that wait."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from alerting.slack import route_sender
from app.settings import RelaySettings
from loadtest.slack_server import FakeSlack
from tests.delivered import Outbox, card
from tests.servers import wait_until

pytestmark = pytest.mark.timeout(400)

#: Tracing makes every allocation slow, and a busy machine makes it slower.
_PATIENCE_SECONDS = 150.0

_MESSAGES = 100_000
_ISSUES = 20_000

#: Bytes; the cards alone are ten times that.
_MOST_MEMORY = 20_000_000


@pytest.fixture
def waiting(tmp_path: Path) -> Outbox:
    outbox = Outbox(tmp_path / "relay.db", RelaySettings.model_validate({"slack_timeout_seconds": 30.0}))
    text = card("issue", description="d" * 1500).model_dump_json()
    with outbox.store.write() as connection:
        connection.executemany(
            "INSERT INTO messages (issue, kind, severity, type, card, created_at)"
            " VALUES (?, 'firing', ?, 'circuit_opened', ?, ?)",
            (
                (f"issue {number % _ISSUES}", ("info", "warning", "critical")[number % 3], text, 1e9 + number)
                for number in range(_MESSAGES)
            ),
        )
    return outbox


def test_they_become_one_digest_in_little_memory(waiting: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    def digest(cards: Any, **more: Any) -> dict[str, str]:  # noqa: ANN401 -- stands for another module's function
        told.append((len(cards), more["counts"]))
        return {"text": "digest"}

    monkeypatch.setattr(route_sender, "digest_payload", digest)
    with FakeSlack() as slack:
        waiting.settings = RelaySettings.model_validate({"slack_webhook_url": slack.webhook("alerts")})
        tracemalloc.start()
        try:
            with waiting.delivering():
                wait_until(lambda: _left(waiting) == 0, seconds=_PATIENCE_SECONDS, what="the digest")
                waiting.wait_value(_MESSAGES, "marketplace_relay_delivery_seconds_count", seconds=_PATIENCE_SECONDS)
                _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(slack.inbox.messages()) == 1
    assert told == [(40, {"info": 33_334, "warning": 33_333, "critical": 33_333})]
    assert peak < _MOST_MEMORY


def _left(outbox: Outbox) -> int:
    with outbox.store.read() as connection:
        return int(connection.execute("SELECT count(*) FROM messages WHERE state <> 'sent'").fetchone()[0])
