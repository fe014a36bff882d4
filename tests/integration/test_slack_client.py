"""What the client makes of the answers of Slack, and of servers that are not Slack."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from alerting.slack.client import Outcome, Slack
from alerting.slack.routes import Channel, Webhook
from app.outbound import Outbound
from app.settings import OutboundSettings
from loadtest.slack_inbox import SlackBehaviour
from loadtest.slack_server import FakeSlack
from tests.raw_server import raw_server
from tests.servers import free_port


@pytest.fixture
def fake() -> Iterator[FakeSlack]:
    with FakeSlack() as fake:
        yield fake


def _slack(timeout_seconds: float = 5.0) -> Slack:
    return Slack(Outbound(OutboundSettings(), allow_private=True), timeout_seconds=timeout_seconds)


def _hook(url: str) -> Webhook:
    return Webhook(SecretStr(url))


def _channel(url: str, *, token: str = "xoxb-12345", channel: str = "C0OPS") -> Channel:
    return Channel(f"{url}/api", SecretStr(token), channel)


def _http(status: str, body: str = "", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


def test_a_webhook_takes_a_message(fake: FakeSlack) -> None:
    blocks = [{"type": "divider"}]
    answer = _slack().post(_hook(fake.webhook("ops")), {"text": "halves \ud800 of characters", "blocks": blocks})
    assert answer.outcome is Outcome.OK
    [message] = fake.inbox.messages()
    assert (message.channel, message.blocks) == ("ops", ({"type": "divider"},))


def test_the_api_takes_a_message_a_reply_and_an_edit(fake: FakeSlack) -> None:
    slack, channel = _slack(), _channel(fake.url)
    first = slack.post(channel, {"text": "first", "blocks": [{"type": "divider"}]})
    assert first.ts is not None
    reply = slack.post(channel, {"text": "reply"}, thread=first.ts)
    edited = slack.edit(channel, first.ts, {"text": "edited"})
    assert [answer.outcome for answer in (first, reply, edited)] == [Outcome.OK] * 3
    told = [(message.text, message.blocks, message.thread_ts) for message in fake.inbox.messages()]
    assert told == [("edited", (), None), ("reply", (), first.ts)]


@pytest.mark.parametrize(
    ("channel", "problem"),
    [({"token": "nonsense"}, "invalid_auth"), ({"channel": "general"}, "channel_not_found")],
    ids=["token", "channel"],
)
def test_the_api_wants_another_setting(fake: FakeSlack, channel: dict[str, str], problem: str) -> None:
    answer = _slack().post(_channel(fake.url, **channel), {"text": "x"})
    assert (answer.outcome, answer.problem) == (Outcome.MISCONFIGURED, problem)


def test_what_was_deleted_cannot_be_edited(fake: FakeSlack) -> None:
    answer = _slack().edit(_channel(fake.url), "1.000001", {"text": "x"})
    assert (answer.outcome, answer.problem) == (Outcome.GONE, "message_not_found")


def test_both_ways_say_that_a_message_is_invalid(fake: FakeSlack) -> None:
    payload = {"text": "x", "blocks": [{"type": "nonsense"}]}
    for destination in (_hook(fake.webhook("ops")), _channel(fake.url)):
        answer = _slack().post(destination, payload)
        assert (answer.outcome, answer.problem) == (Outcome.INVALID, "invalid_blocks")


def test_both_ways_say_that_it_was_too_much_and_for_how_long(fake: FakeSlack) -> None:
    fake.inbox.behave(SlackBehaviour("rate_limited", retry_after_seconds=30))
    for destination in (_hook(fake.webhook("ops")), _channel(fake.url)):
        answer = _slack().post(destination, {"text": "x"})
        assert (answer.outcome, answer.retry_after_seconds) == (Outcome.RATE_LIMITED, 30)


@pytest.mark.parametrize(
    ("answer", "outcome", "problem"),
    [
        (_http("200 OK", "ok"), Outcome.OK, ""),
        (_http("400 Bad Request", "no_text"), Outcome.INVALID, "no_text"),
        (_http("400 Bad Request", "invalid_token"), Outcome.MISCONFIGURED, "invalid_token"),
        (_http("403 Forbidden", "action_prohibited"), Outcome.MISCONFIGURED, "action_prohibited"),
        (_http("404 Not Found", "no_service"), Outcome.MISCONFIGURED, "no_service"),
        (_http("404 Not Found", "<html>S3CRET</html>"), Outcome.MISCONFIGURED, "HTTP 404"),
        (_http("410 Gone", "channel_is_archived"), Outcome.MISCONFIGURED, "channel_is_archived"),
        (_http("413 Too Large"), Outcome.INVALID, "HTTP 413"),
        (_http("302 Found", "", "Location: http://127.0.0.1:1/"), Outcome.MISCONFIGURED, "HTTP 302"),
        (_http("408 Timeout"), Outcome.UNAVAILABLE, "HTTP 408"),
        (_http("500 Error", "rollup_error"), Outcome.UNAVAILABLE, "rollup_error"),
        (_http("503 Away", "", "Retry-After: 7"), Outcome.UNAVAILABLE, "HTTP 503"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", Outcome.UNAVAILABLE, "127.0.0.1: the answer is not HTTP (BadStatusLine)"),
    ],
    ids=lambda value: value.split(b"\r")[0].decode() if isinstance(value, bytes) else "",
)
def test_answers_to_a_webhook(answer: bytes, outcome: Outcome, problem: str) -> None:
    with raw_server(answer) as server:
        found = _slack().post(_hook(server.url), {"text": "x"})
    assert (found.outcome, found.problem) == (outcome, problem)


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ('{"ok": true, "ts": "1.2"}', Outcome.OK),
        ('{"ok": false, "error": "ratelimited"}', Outcome.RATE_LIMITED),
        ('{"ok": false, "error": "internal_error"}', Outcome.UNAVAILABLE),
        ('{"ok": false, "error": "not_in_channel"}', Outcome.MISCONFIGURED),
        ('{"ok": false, "error": "msg_too_long"}', Outcome.INVALID),
        ('{"ok": false, "error": {"S3CRET": 1}}', Outcome.MISCONFIGURED),
        ('{"ok": "yes"}', Outcome.UNAVAILABLE),
        ("<html>a portal</html>", Outcome.UNAVAILABLE),
        ("[" * 100_000, Outcome.UNAVAILABLE),
    ],
    ids=str,
)
def test_answers_of_the_api(body: str, outcome: Outcome) -> None:
    with raw_server(_http("200 OK", body)) as server:
        found = _slack().post(_channel(server.url), {"text": "x"})
    assert found.outcome is outcome
    assert "S3CRET" not in found.problem


def test_a_server_that_drips_is_left_after_the_time_limit() -> None:
    def drip(connection: socket.socket, ending: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not ending.wait(0.1):
            connection.sendall(b"X: y\r\n")

    with raw_server(drip) as server:
        begun = time.monotonic()
        answer = _slack(timeout_seconds=0.5).post(_hook(server.url), {"text": "x"})
    assert (answer.outcome, answer.may_have_arrived) == (Outcome.UNAVAILABLE, True)
    assert time.monotonic() - begun < 5


def test_a_broken_connection_may_have_brought_the_message_and_a_refused_one_has_not() -> None:
    with raw_server(b"") as server:
        broken = _slack().post(_hook(server.url), {"text": "x"})
    refused = _slack().post(_hook(f"http://127.0.0.1:{free_port()}/"), {"text": "x"})
    assert [(answer.outcome, answer.may_have_arrived) for answer in (broken, refused)] == [
        (Outcome.UNAVAILABLE, True),
        (Outcome.UNAVAILABLE, False),
    ]


def test_a_url_that_is_none_is_a_wrong_setting() -> None:
    answer = _slack().post(_hook("hooks.slack.com/S3CRET"), {"text": "x"})
    assert answer.outcome is Outcome.MISCONFIGURED
    assert answer.problem == "the URL must begin with http:// or https://"
