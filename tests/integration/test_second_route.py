from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.settings import RelaySettings
from loadtest.slack_inbox import SlackBehaviour
from loadtest.slack_server import FakeSlack
from tests.delivered import Outbox, card
from tests.receiver import Receiver, running_receiver
from tests.servers import wait_until


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        slack.inbox.behave(SlackBehaviour("error"))
        yield slack


@pytest.fixture
def second() -> Iterator[Receiver]:
    with running_receiver() as receiver:
        yield receiver


@pytest.fixture
def outbox(tmp_path: Path, slack: FakeSlack, second: Receiver) -> Outbox:
    settings = {"slack_webhook_url": slack.webhook("alerts"), "second_url": second.url, "slack_timeout_seconds": 2.0}
    outbox = Outbox(tmp_path / "relay.db", RelaySettings.model_validate(settings))
    outbox.add(card("a"), card("b"))
    return outbox


def _told(second: Receiver) -> list[dict[str, Any]]:
    return [json.loads(received.body) for received in second.received]


def test_it_is_told_of_a_long_outage_once_over_a_restart_and_of_the_end(
    outbox: Outbox, slack: FakeSlack, second: Receiver
) -> None:
    with outbox.delivering() as delivery:
        wait_until(delivery.outages, what="the outage")
        attempts = slack.inbox.calls()["error"]
        outbox.clock.ahead_seconds = 110
        wait_until(lambda: slack.inbox.calls()["error"] > attempts, what="another attempt")
        assert second.received == []
        outbox.clock.ahead_seconds = 125
        wait_until(lambda: second.received, what="the second route")
    [first] = _told(second)
    assert first["text"] == (
        "Marketplace alerts: Slack has not taken messages for more than 2 minutes (severity critical, warning, info)."
    )
    assert first["waiting"] == 2
    assert first["oldestSeconds"] >= 120
    assert first["since"].endswith("+00:00")
    with outbox.delivering():
        outbox.clock.ahead_seconds = 500
        slack.inbox.behave(SlackBehaviour())
        outbox.wait_all_sent()
        wait_until(lambda: len(second.received) > 1, what="the end of the outage")
    assert [message["text"] for message in _told(second)[1:]] == [
        "Marketplace alerts: Slack takes messages again (severity critical, warning, info)."
    ]


def test_what_it_does_not_take_is_told_again(outbox: Outbox, second: Receiver) -> None:
    second.statuses.extend([500])
    with outbox.delivering() as delivery:
        wait_until(delivery.outages, what="the outage")
        outbox.clock.ahead_seconds = 125
        wait_until(lambda: len(second.received) == 1, what="the first attempt")
        outbox.clock.ahead_seconds = 160
        wait_until(lambda: len(second.received) == 2, what="the second attempt")


def test_a_short_outage_is_none_of_its_business(outbox: Outbox, slack: FakeSlack, second: Receiver) -> None:
    with outbox.delivering() as delivery:
        wait_until(delivery.outages, what="the outage")
        slack.inbox.behave(SlackBehaviour())
        outbox.clock.ahead_seconds = 60
        outbox.wait_all_sent()
        wait_until(lambda: outbox.value("marketplace_relay_waiting_messages") == 0, what="the next look")
    assert second.received == []
