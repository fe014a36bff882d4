"""With a bot token: replies in the thread of an issue, and its first message edited at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alerting.slack import route_sender
from app.settings import RelaySettings
from loadtest.slack_inbox import Message, SlackBehaviour
from loadtest.slack_server import FakeSlack
from tests.delivered import Outbox, card
from tests.servers import wait_until

_OPS, _PAGER = "C0OPS", "C0PAGER"


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        yield slack


@pytest.fixture
def outbox(tmp_path: Path, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch) -> Outbox:
    def draw(each: Any, **_more: Any) -> dict[str, Any]:  # noqa: ANN401 -- stands for another module's function
        return {"text": f"{each.kind} {each.issue}", "blocks": [{"type": "divider"}]}

    monkeypatch.setattr(route_sender, "card_payload", draw)
    settings = RelaySettings.model_validate(
        {
            "slack_bot_token": "xoxb-12345",
            "slack_channel": _OPS,
            "slack_channel_critical": _PAGER,
            "slack_api_url": f"{slack.url}/api",
            "messages_per_second": 10.0,
            "slack_timeout_seconds": 2.0,
        }
    )
    return Outbox(tmp_path / "relay.db", settings)


def _threads(outbox: Outbox) -> int:
    with outbox.store.read() as connection:
        return int(connection.execute("SELECT count(*) FROM threads").fetchone()[0])


def _told(slack: FakeSlack) -> list[tuple[str, str, bool]]:
    """Return the channel and text of each message, and whether it is a reply to the first one there."""
    messages = slack.inbox.messages()
    first: dict[str, Message] = {}
    for message in messages:
        first.setdefault(message.channel, message)
    return [(m.channel, m.text, m.thread_ts == first[m.channel].ts) for m in messages]


def test_an_issue_has_one_message_with_a_thread_that_is_edited_at_the_end(outbox: Outbox, slack: FakeSlack) -> None:
    outbox.add(card("a"), card("a", "update"), card("a", "recovery"))
    with outbox.delivering():
        outbox.wait_all_sent()
        wait_until(lambda: _threads(outbox) == 0, what="the edit")
    assert _told(slack) == [
        (_OPS, "recovery a", False),
        (_OPS, "update a", True),
        (_OPS, "recovery a", True),
    ]
    first, _, recovery = slack.inbox.messages()
    assert first.edited_at is not None
    # What the edited message shows needs not be shown again below it.
    assert recovery.blocks == ()


def test_an_issue_that_gets_worse_begins_anew_in_the_other_channel_and_both_end(
    outbox: Outbox, slack: FakeSlack
) -> None:
    outbox.add(card("a"))
    with outbox.delivering() as delivery:
        outbox.wait_all_sent()
        outbox.add(card("a", severity="critical"))
        delivery.wake()
        outbox.wait_all_sent()
        outbox.add(card("a", "recovery", "critical"))
        delivery.wake()
        wait_until(lambda: outbox.all_sent() and _threads(outbox) == 0, what="both edits")
    assert _told(slack) == [
        (_OPS, "recovery a", False),
        (_PAGER, "recovery a", False),
        (_PAGER, "recovery a", True),
    ]


def test_the_next_episode_has_a_thread_of_its_own(outbox: Outbox, slack: FakeSlack) -> None:
    outbox.add(card("a"), card("a", "recovery"), card("a"))
    with outbox.delivering():
        outbox.wait_all_sent()
        wait_until(lambda: _threads(outbox) == 1, what="the edit")
    assert [(m.text, m.thread_ts is None) for m in slack.inbox.messages()] == [
        ("recovery a", True),
        ("recovery a", False),
        ("firing a", True),
    ]


def test_a_recovery_in_a_digest_edits_the_first_message_too(outbox: Outbox, slack: FakeSlack) -> None:
    outbox.add(card("a"))
    with outbox.delivering():
        outbox.wait_all_sent()
    outbox.add(card("a", "recovery"), *[card(f"issue {number}") for number in range(9)])
    with outbox.delivering():
        wait_until(lambda: outbox.all_sent() and _threads(outbox) == 0, what="the edit")
    first, digest = slack.inbox.messages()
    assert first.text == "recovery a"
    assert digest.thread_ts is None


def test_an_edit_waits_until_slack_is_back(outbox: Outbox, slack: FakeSlack) -> None:
    outbox.add(card("a"), card("a", "recovery"))
    with outbox.delivering():
        outbox.wait_all_sent()
        wait_until(lambda: _threads(outbox) == 0, what="the edit")
    outbox.add(card("b"))
    with outbox.delivering() as delivery:
        outbox.wait_all_sent()
        slack.inbox.behave(SlackBehaviour("error"))
        outbox.add(card("b", "recovery"))
        delivery.wake()
        wait_until(delivery.outages, what="the outage")
        slack.inbox.behave(SlackBehaviour())
        outbox.clock.ahead_seconds += 60
        wait_until(lambda: outbox.all_sent() and _threads(outbox) == 0, what="the edit")
    assert [message.text for message in slack.inbox.messages()] == ["recovery a"] * 2 + ["recovery b"] * 2


def test_a_first_message_that_a_person_deleted_is_not_edited(outbox: Outbox, slack: FakeSlack) -> None:
    outbox.add(card("a"))
    with outbox.delivering() as delivery:
        outbox.wait_all_sent()
        slack.inbox.clear()
        outbox.add(card("a", "recovery"))
        delivery.wake()
        wait_until(lambda: outbox.all_sent() and _threads(outbox) == 0, what="the end of the thread")
        assert delivery.outages() == []
