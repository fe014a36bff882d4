"""From the outbox to a fake Slack over real HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from alerting.messages.forms import REPEAT
from alerting.slack import route_sender
from alerting.slack.delivery import KEEP_SECONDS
from app.settings import RelaySettings
from loadtest.slack_inbox import SlackBehaviour
from loadtest.slack_server import FakeSlack
from tests.delivered import Clock, Outbox, card, titles
from tests.servers import wait_until

_FAST = {"messages_per_second": 10.0, "slack_timeout_seconds": 1.0}


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        yield slack


@pytest.fixture(autouse=True)
def titles_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """How a card looks is tested elsewhere; here its text is its title."""
    monkeypatch.setattr(route_sender, "card_payload", lambda each, **_more: {"text": f"{each.kind} {each.title}"})


def _outbox(tmp_path: Path, slack: FakeSlack, **more: Any) -> Outbox:
    settings = RelaySettings(slack_webhook_url=slack.webhook("alerts"), **{**_FAST, **more})
    return Outbox(tmp_path / "relay.db", settings)


def _ok_posts(slack: FakeSlack) -> int:
    return len(slack.inbox.messages())


def test_a_message_leaves_at_once_and_is_counted(tmp_path: Path, slack: FakeSlack) -> None:
    outbox = _outbox(tmp_path, slack)
    with outbox.delivering() as delivery:
        outbox.add(card("kaway"))
        delivery.wake()
        outbox.wait_all_sent()
        assert titles(slack) == ["firing kaway"]
        assert delivery.outages() == []
        assert delivery.problems() == []
        outbox.wait_value(1, "marketplace_relay_messages_total", kind="firing", outcome="sent")
        outbox.wait_value(1, "marketplace_relay_slack_calls_total", outcome="ok")
        outbox.wait_value(1, "marketplace_relay_delivery_seconds_count")
        outbox.wait_value(1, "marketplace_relay_slack_up")


def test_the_worst_leave_first_but_never_before_an_older_one_of_their_issue(tmp_path: Path, slack: FakeSlack) -> None:
    outbox = _outbox(tmp_path, slack)
    outbox.add(card("a"), card("b"), card("c", severity="info"), card("b", severity="critical"))
    with outbox.delivering():
        outbox.wait_all_sent()
    assert titles(slack) == ["firing b", "firing b", "firing a", "firing c"]
    assert [row["severity"] for row in sorted(outbox.rows(), key=lambda row: row["sent_at"])][:2] == [
        "warning",
        "critical",
    ]


def test_many_that_wait_become_one_digest(tmp_path: Path, slack: FakeSlack) -> None:
    outbox = _outbox(tmp_path, slack, digest_above=5)
    outbox.add(*[card(f"issue {number}") for number in range(20)], card("issue 3", "recovery", "critical"))
    with outbox.delivering():
        outbox.wait_all_sent()
        outbox.wait_value(20, "marketplace_relay_messages_total", kind="firing", outcome="digest")
        outbox.wait_value(1, "marketplace_relay_messages_total", kind="recovery", outcome="digest")
    assert _ok_posts(slack) == 1
    assert {row["digest"] for row in outbox.rows()} == {1}


def test_a_digest_tells_each_issue_once_worst_first_with_what_was_suppressed(
    tmp_path: Path, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []

    def digest(cards: Any, **more: Any) -> dict[str, str]:  # noqa: ANN401 -- stands for another module's function
        told.append((cards, more))
        return {"text": "digest"}

    monkeypatch.setattr(route_sender, "digest_payload", digest)
    outbox = _outbox(tmp_path, slack, digest_above=2, mentions=["here"])
    outbox.add(
        card("a"),
        card("b", severity="info"),
        card("a", "update", suppressed=3, suppressed_since="2026-11-27T03:01:00Z"),
        card("a", "update", suppressed=4, suppressed_since="2026-11-27T03:02:00Z"),
        card("c", severity="critical"),
        card("c", "recovery", "critical"),
        card("d", severity="critical"),
    )
    with outbox.delivering():
        outbox.wait_all_sent()
    [(cards, more)] = told
    assert [(each.issue, each.kind, each.messages, each.suppressed) for each in cards] == [
        ("d", "firing", 1, 0),
        ("c", "recovery", 2, 0),
        ("a", "update", 3, 7),
        ("b", "firing", 1, 0),
    ]
    assert cards[2].suppressed_since.minute == 1
    assert more["counts"] == {"critical": 3, "warning": 3, "info": 1}
    assert more["mentions"] == ("here",)


def test_a_rate_limit_is_kept_over_a_restart(tmp_path: Path, slack: FakeSlack) -> None:
    outbox = _outbox(tmp_path, slack)
    slack.inbox.behave(SlackBehaviour("rate_limited", retry_after_seconds=60))
    outbox.add(card("a"))
    with outbox.delivering():
        wait_until(lambda: slack.inbox.calls()["rate_limited"], what="the first attempt")
    slack.inbox.behave(SlackBehaviour())
    outbox.clock.ahead_seconds = 30
    with outbox.delivering() as delivery:
        outbox.add(*[card(f"issue {number}") for number in range(9)])
        delivery.wake()
        outbox.wait_value(10, "marketplace_relay_waiting_messages")
        assert slack.inbox.calls()["ok"] == 0
        assert "before the restart" in delivery.outages()[0]
        outbox.clock.ahead_seconds = 62
        outbox.wait_all_sent()
    assert _ok_posts(slack) == outbox.posts() == 1


@pytest.mark.parametrize("mode", ["rate_limited", "error", "hang", "refused"])
def test_after_an_outage_everything_was_told_once(tmp_path: Path, slack: FakeSlack, mode: str) -> None:
    outbox = _outbox(tmp_path, slack)
    slack.inbox.behave(SlackBehaviour(mode, retry_after_seconds=60))
    outbox.add(card("first"))
    with outbox.delivering() as delivery:
        wait_until(delivery.outages, what="the outage to be noticed")
        outbox.wait_value(0, "marketplace_relay_slack_up")
        # No reason to restart the relay.
        assert delivery.problems() == []
        outbox.add(*[card(f"issue {number}") for number in range(12)])
        delivery.wake()
        slack.inbox.behave(SlackBehaviour())
        outbox.clock.ahead_seconds += 120
        outbox.wait_all_sent()
        assert delivery.outages() == []
        outbox.wait_value(1, "marketplace_relay_slack_up")
    assert _ok_posts(slack) == outbox.posts()
    outbox.wait_value(13, "marketplace_relay_delivery_seconds_count")


def test_nobody_listening_is_an_outage_like_any_other(tmp_path: Path) -> None:
    with FakeSlack() as gone:
        port = int(gone.url.rpartition(":")[2])
        outbox = _outbox(tmp_path, gone)
    outbox.add(card("a"), card("b"))
    with outbox.delivering() as delivery:
        wait_until(delivery.outages, what="the outage to be noticed")
        with FakeSlack(port=port) as back:
            outbox.clock.ahead_seconds += 120
            outbox.wait_all_sent()
            assert titles(back) == ["firing a", "firing b"]


def test_a_message_without_an_answer_is_sent_again_as_a_possible_repeat(tmp_path: Path, slack: FakeSlack) -> None:
    outbox = _outbox(tmp_path, slack)
    slack.inbox.behave(SlackBehaviour("silent", fail_first=1))
    outbox.add(card("a"), card("b"))
    with outbox.delivering():
        outbox.wait_all_sent()
    assert titles(slack) == ["firing a", f"firing a\n{REPEAT}", "firing b"]


def test_a_digest_without_an_answer_is_sent_again_as_a_possible_repeat(tmp_path: Path, slack: FakeSlack) -> None:
    outbox = _outbox(tmp_path, slack)
    slack.inbox.behave(SlackBehaviour("silent", fail_first=1))
    outbox.add(*[card(f"issue {number}") for number in range(9)])
    with outbox.delivering():
        outbox.wait_all_sent()
        outbox.add(card("later"))
        outbox.wait_all_sent()
    assert [REPEAT in text for text in titles(slack)] == [False, True, False]


def test_a_limit_of_slack_itself_delays_and_loses_nothing(tmp_path: Path, slack: FakeSlack) -> None:
    outbox = _outbox(tmp_path, slack, digest_above=20)
    slack.inbox.behave(SlackBehaviour(per_second=2))
    outbox.add(*[card(f"{number}") for number in range(5)])
    with capture_logs() as logs, outbox.delivering():
        outbox.wait_all_sent()
    assert sorted(titles(slack)) == [f"firing {number}" for number in range(5)]
    assert slack.inbox.calls()["rate_limited"] >= 1
    # So short a limit is nothing to look into the log for.
    assert "alert_message" not in [line["event"] for line in logs]


def test_a_wrong_setting_is_told_once_and_tried_again_each_minute(tmp_path: Path, slack: FakeSlack) -> None:
    outbox = _outbox(tmp_path, slack)
    slack.inbox.behave(SlackBehaviour("refused", error="channel_is_archived"))
    outbox.add(card("a"))
    with capture_logs() as logs, outbox.delivering() as delivery:
        for attempts in (1, 2, 3):
            wait_until(lambda: slack.inbox.calls()["refused"] == attempts, what="an attempt")  # noqa: B023 -- used at once
            wait_until(lambda: outbox.states() == ["waiting"], what="the answer")
            outbox.clock.ahead_seconds += 61
        problem = "Slack does not take messages of severity critical, warning, info: channel_is_archived"
        assert delivery.outages() == [problem]
        slack.inbox.behave(SlackBehaviour("refused", error="action_prohibited"))
        wait_until(lambda: "action_prohibited" in str(delivery.outages()), what="the other problem")
        slack.inbox.behave(SlackBehaviour())
        outbox.clock.ahead_seconds += 61
        outbox.wait_all_sent()
    loud = [(line["problem"], line["log_level"]) for line in logs if line["event"] == "slack_misconfigured"]
    assert loud == [("channel_is_archived", "error"), ("action_prohibited", "error")]
    assert [line["event"] for line in logs].count("slack_available") == 1


def test_a_message_that_slack_does_not_take_goes_as_plain_text(
    tmp_path: Path, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}
    monkeypatch.setattr(route_sender, "card_payload", lambda each, **_more: {"text": each.title, "blocks": [bad]})
    outbox = _outbox(tmp_path, slack)
    outbox.add(card("a"), card("b"))
    with outbox.delivering():
        outbox.wait_all_sent()
    assert [(message.text, message.blocks) for message in slack.inbox.messages()] == [("a", ()), ("b", ())]


def test_a_message_that_is_not_even_plain_text_is_set_aside_in_the_log(
    tmp_path: Path, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = _outbox(tmp_path, slack)
    monkeypatch.setattr(route_sender, "plain", lambda payload, _card: payload)
    monkeypatch.setattr(
        route_sender, "card_payload", lambda each, **_more: {"text": "" if each.title == "a" else each.title}
    )
    outbox.add(card("a"), card("b"))
    with capture_logs() as logs, outbox.delivering():
        wait_until(lambda: outbox.states() == ["refused", "sent"], what="the next message")
    assert [line["title"] for line in logs if line["event"] == "alert_message"] == ["a"]


def test_a_message_that_cannot_be_drawn_does_not_stop_the_next(
    tmp_path: Path, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(each: Any, **_more: Any) -> dict[str, str]:  # noqa: ANN401 -- stands for another module's function
        if each.title == "a":
            raise ValueError("no such character")
        return {"text": each.title}

    monkeypatch.setattr(route_sender, "card_payload", draw)
    outbox = _outbox(tmp_path, slack)
    outbox.add(card("a"), card("b"))
    with outbox.delivering():
        outbox.wait_all_sent()
        outbox.wait_value(1, "marketplace_unexpected_errors_total", place="relay_delivery")
    assert titles(slack)[0].startswith("MarketplaceCircuitOpened: what it says cannot be shown")
    assert titles(slack)[1] == "b"


def test_while_slack_is_away_messages_are_in_the_log_once(tmp_path: Path, slack: FakeSlack) -> None:
    outbox = _outbox(tmp_path, slack)
    slack.inbox.behave(SlackBehaviour("error"))
    outbox.add(
        card("a", severity="critical", links={"silence": "https://relay/silence/signed", "runbook": "https://r"})
    )
    with capture_logs() as first, outbox.delivering() as delivery:
        wait_until(lambda: outbox.rows()[0]["logged"], what="the card in the log")
        outbox.add(card("b", "recovery", "critical"))
        delivery.wake()
        wait_until(lambda: outbox.rows()[1]["logged"], what="the next card in the log")
    lines = [line for line in first if line["event"] == "alert_message"]
    assert [(line["title"], line["log_level"]) for line in lines] == [("a", "error"), ("b", "info")]
    assert lines[0]["links"] == {"runbook": "https://r"}
    with capture_logs() as second, outbox.delivering():
        calls = slack.inbox.calls()["error"]
        outbox.clock.ahead_seconds += 120
        wait_until(lambda: slack.inbox.calls()["error"] > calls, what="another attempt")
    assert "alert_message" not in [line["event"] for line in second]


def test_without_slack_messages_are_only_logged_and_it_says_so(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "relay.db", RelaySettings())
    outbox.add(card("a"), card("b", severity="info"))
    with capture_logs() as logs, outbox.delivering() as delivery:
        wait_until(lambda: outbox.states() == ["logged", "logged"], what="the log")
        assert delivery.outages() == []
    events = [line["event"] for line in logs]
    assert events.count("slack_not_configured") == 1
    assert events.count("alert_message") == 2


def test_a_route_that_hangs_does_not_delay_another(tmp_path: Path, slack: FakeSlack) -> None:
    outbox = _outbox(tmp_path, slack, slack_webhook_url_critical=slack.webhook("critical"), slack_timeout_seconds=30.0)
    slack.inbox.behave(SlackBehaviour("hang"), channel="critical")
    outbox.add(card("a", severity="critical"))
    with outbox.delivering() as delivery:
        wait_until(lambda: slack.inbox.calls()["hang"], what="the call that hangs")
        outbox.add(card("b"), card("c", severity="info"))
        delivery.wake()
        # Slack has a message before the outbox knows that.
        wait_until(lambda: outbox.states() == ["sending", "sent", "sent"], what="the other route")
        assert titles(slack) == ["firing b", "firing c"]
        slack.stop()


def test_no_secret_is_ever_logged(
    tmp_path: Path, slack: FakeSlack, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    hook, token = slack.webhook("S3CRET"), "xoxb-S3CRET-token"
    for number, settings in enumerate(
        [
            {"slack_webhook_url": hook},
            {"slack_webhook_url": "http://u:S3CRET@127.0.0.1/x"},
            {"slack_bot_token": token, "slack_channel": "C0OPS", "slack_api_url": f"{slack.url}/api"},
        ]
    ):
        outbox = Outbox(tmp_path / f"{number}.db", RelaySettings(**{**_FAST, **settings}, second_url=hook))
        outbox.add(card("a"))
        for mode in ("error", "refused", "hang", "rate_limited"):
            slack.inbox.behave(SlackBehaviour(mode, retry_after_seconds=60))
            attempts = outbox.rows()[0]["attempts"]
            outbox.clock.ahead_seconds += 200
            with capture_logs() as logs, outbox.delivering() as delivery:
                wait_until(
                    lambda: outbox.rows()[0]["attempts"] > attempts and outbox.states() == ["waiting"],  # noqa: B023 -- used at once
                    what="an attempt",
                )
                assert "S3CRET" not in str(delivery.outages())
            assert "S3CRET" not in str(logs)
    assert "S3CRET" not in caplog.text + "".join(capfd.readouterr())


def test_old_messages_are_deleted_and_those_that_wait_are_not(tmp_path: Path, slack: FakeSlack) -> None:
    outbox = _outbox(tmp_path, slack)
    outbox.add(card("a"))
    with outbox.delivering():
        outbox.wait_all_sent()
    slack.inbox.behave(SlackBehaviour("error"))
    outbox.add(card("b"))
    outbox.clock.ahead_seconds = KEEP_SECONDS + 60
    with outbox.delivering():
        wait_until(lambda: len(outbox.rows()) == 1, what="the old message to be deleted")
    assert outbox.rows()[0]["issue"] == "b"


def test_a_clock_that_was_set_back_delays_nothing_for_long(tmp_path: Path, slack: FakeSlack) -> None:
    outbox = _outbox(tmp_path, slack)
    outbox.clock = Clock(86_400)
    slack.inbox.behave(SlackBehaviour("rate_limited", retry_after_seconds=60, fail_first=1))
    outbox.add(card("a"))
    with outbox.delivering():
        wait_until(lambda: slack.inbox.calls()["rate_limited"], what="the first attempt")
        wait_until(lambda: outbox.states() == ["waiting"], what="the answer")
        outbox.clock.ahead_seconds = 0
        outbox.wait_all_sent()
    assert time.time() >= outbox.rows()[0]["sent_at"]
