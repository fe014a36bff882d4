from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from loadtest.slack_server import FakeSlack
from tests.servers import ended

_ROOT = Path(__file__).parents[2]
_TOKEN = {"Authorization": "Bearer xoxb-1-test"}
_OPS = "C0OPS"


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        yield slack


def _hook(slack: FakeSlack, payload: object, *, channel: str = "alerts") -> tuple[int, str]:
    answer = requests.post(slack.webhook(channel), json=payload, timeout=5)
    return answer.status_code, answer.text


def _call(slack: FakeSlack, method: str, payload: object, headers: dict[str, str] | None = None) -> dict[str, Any]:
    shown = _TOKEN if headers is None else headers
    answer = requests.post(f"{slack.url}/api/{method}", json=payload, headers=shown, timeout=5)
    assert answer.status_code == 200
    data: dict[str, Any] = answer.json()
    return data


def _behave(slack: FakeSlack, data: object, channel: str = "") -> requests.Response:
    return requests.put(f"{slack.url}/behaviour/{channel}".rstrip("/"), json=data, timeout=5)


def _messages(slack: FakeSlack) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = requests.get(f"{slack.url}/messages", timeout=5).json()
    return messages


def _page(slack: FakeSlack) -> str:
    return requests.get(slack.url, timeout=5).text


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _button(**more: object) -> dict[str, Any]:
    return {"type": "button", "text": {"type": "plain_text", "text": "Runbook"}, **more}


def test_a_webhook_takes_a_message(slack: FakeSlack) -> None:
    assert _hook(slack, {"text": "hello", "blocks": [_section("*hello*")]}) == (200, "ok")
    [message] = _messages(slack)
    assert (message["channel"], message["text"], message["blocks"]) == ("alerts", "hello", [_section("*hello*")])
    assert (message["threadTs"], message["editedAt"]) == (None, None)
    assert message["receivedAt"].endswith("+00:00")


def test_the_api_posts_replies_and_edits(slack: FakeSlack) -> None:
    first = _call(slack, "chat.postMessage", {"channel": _OPS, "text": "down"})
    reply = _call(slack, "chat.postMessage", {"channel": _OPS, "text": "again", "thread_ts": first["ts"]})
    edited = _call(slack, "chat.update", {"channel": _OPS, "ts": first["ts"], "text": "up"})
    assert first == edited == {"ok": True, "channel": _OPS, "ts": first["ts"]}
    assert float(reply["ts"]) > float(first["ts"])
    told = [(m["text"], m["threadTs"], m["editedAt"] is not None) for m in _messages(slack)]
    assert told == [("up", None, True), ("again", first["ts"], False)]


@pytest.mark.parametrize(
    ("payload", "headers", "error"),
    [
        pytest.param({"channel": _OPS, "text": "x"}, {}, "not_authed", id="no-token"),
        pytest.param({"channel": _OPS, "text": "x"}, {"Authorization": "Bearer x"}, "invalid_auth", id="wrong-token"),
        pytest.param({"channel": "ops", "text": "x"}, _TOKEN, "channel_not_found", id="no-channel-id"),
        pytest.param({"channel": _OPS}, _TOKEN, "no_text", id="empty"),
        pytest.param({"channel": _OPS, "blocks": [{"type": "x"}]}, _TOKEN, "invalid_blocks", id="unknown-block"),
    ],
)
def test_the_api_says_what_is_wrong(
    slack: FakeSlack, payload: dict[str, Any], headers: dict[str, str], error: str
) -> None:
    assert _call(slack, "chat.postMessage", payload, headers) == {"ok": False, "error": error}
    assert _messages(slack) == []


def test_what_is_not_there_cannot_be_edited(slack: FakeSlack) -> None:
    told = _call(slack, "chat.update", {"channel": _OPS, "ts": "1.000001", "text": "x"})
    assert told == {"ok": False, "error": "message_not_found"}


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        pytest.param([], "invalid_payload", id="list"),
        pytest.param({}, "no_text", id="empty"),
        pytest.param({"text": 1}, "invalid_payload", id="text-a-number"),
        pytest.param({"text": "x" * 40_001}, "msg_too_long", id="long-text"),
        pytest.param({"blocks": [_section("x")] * 51}, "invalid_blocks", id="51-blocks"),
        pytest.param({"blocks": [_section("x" * 3001)]}, "invalid_blocks", id="long-section"),
        pytest.param({"blocks": [_section("")]}, "invalid_blocks", id="empty-section"),
        pytest.param({"blocks": [{"type": "section"}]}, "invalid_blocks", id="section-of-nothing"),
        pytest.param(
            {"blocks": [{"type": "section", "fields": [_section("x")["text"]] * 11}]}, "invalid_blocks", id="11-fields"
        ),
        pytest.param(
            {"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]},
            "invalid_blocks",
            id="long-header",
        ),
        pytest.param(
            {"blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]},
            "invalid_blocks",
            id="header-kind",
        ),
        pytest.param(
            {"blocks": [{"type": "context", "elements": [_section("x")["text"]] * 11}]},
            "invalid_blocks",
            id="11-in-context",
        ),
        pytest.param(
            {"blocks": [{"type": "actions", "elements": [_button(url="javascript:alert(1)")]}]},
            "invalid_blocks",
            id="url-of-a-button",
        ),
        pytest.param(
            {"blocks": [{"type": "actions", "elements": [_button(url="https://x/" + "x" * 3000)]}]},
            "invalid_blocks",
            id="long-url",
        ),
        pytest.param({"blocks": [{**_section("x"), "block_id": "a"}] * 2}, "invalid_blocks", id="same-id"),
    ],
)
def test_limits_are_those_of_slack(slack: FakeSlack, payload: object, error: str) -> None:
    assert _hook(slack, payload) == (400, error)
    assert _messages(slack) == []


def test_a_message_at_the_limits_is_taken(slack: FakeSlack) -> None:
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "x" * 150}},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2000}] * 10},
        {"type": "actions", "elements": [_button(url="https://example.com/" + "x" * 2980)]},
        *[_section("x" * 3000)] * 47,
    ]
    assert _hook(slack, {"text": "x" * 40_000, "blocks": blocks}) == (200, "ok")


def test_too_many_messages_at_once_are_refused_until_the_second_is_over(slack: FakeSlack) -> None:
    _behave(slack, {"mode": "ok", "perSecond": 1})
    assert [_hook(slack, {"text": "x"})[0] for _ in range(3)] == [200, 429, 429]
    assert _hook(slack, {"text": "x"}, channel="other")[0] == 200


def test_it_is_rate_limited_when_told_and_says_for_how_long(slack: FakeSlack) -> None:
    _behave(slack, {"mode": "rate_limited", "retryAfterSeconds": 60})
    answer = requests.post(slack.webhook("alerts"), json={"text": "x"}, timeout=5)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")


def test_it_fails_hangs_and_refuses_when_told(slack: FakeSlack) -> None:
    _behave(slack, {"mode": "error", "failFirst": 1})
    assert [_hook(slack, {"text": "x"})[0] for _ in range(2)] == [500, 200]
    _behave(slack, {"mode": "refused", "error": "channel_is_archived"})
    assert _hook(slack, {"text": "x"}) == (410, "channel_is_archived")
    assert _call(slack, "chat.postMessage", {"channel": _OPS, "text": "x"})["error"] == "channel_is_archived"
    _behave(slack, {"mode": "hang"})
    with pytest.raises(requests.ReadTimeout):
        requests.post(slack.webhook("alerts"), json={"text": "x"}, timeout=0.2)
    assert len(_messages(slack)) == 1


def test_a_silent_one_has_taken_the_message(slack: FakeSlack) -> None:
    _behave(slack, {"mode": "silent"})
    with pytest.raises(requests.ReadTimeout):
        requests.post(slack.webhook("alerts"), json={"text": "x"}, timeout=0.2)
    assert len(_messages(slack)) == 1


def test_one_channel_can_misbehave_alone_until_all_are_told_anew(slack: FakeSlack) -> None:
    _behave(slack, {"mode": "error"}, "critical")
    assert _hook(slack, {"text": "x"}, channel="critical")[0] == 500
    assert _hook(slack, {"text": "x"}, channel="info")[0] == 200
    _behave(slack, {"mode": "ok"})
    assert _hook(slack, {"text": "x"}, channel="critical")[0] == 200


@pytest.mark.parametrize(
    ("data", "field"),
    [
        pytest.param([], "body", id="list"),
        pytest.param({}, "mode", id="no-mode"),
        pytest.param({"mode": ["ok"]}, "mode", id="mode-a-list"),
        pytest.param({"mode": "refused", "error": "x"}, "error", id="unknown-word"),
        pytest.param({"mode": "rate_limited", "retryAfterSeconds": -1}, "retryAfterSeconds", id="negative"),
        pytest.param({"mode": "ok", "perSecond": 0.5}, "perSecond", id="fraction"),
        pytest.param({"mode": "error", "failFirst": "1"}, "failFirst", id="text"),
        pytest.param({"mode": "error", "fail": 1}, "fail", id="unknown"),
    ],
)
def test_wrong_control_input_is_refused_with_its_field(slack: FakeSlack, data: object, field: str) -> None:
    answer = _behave(slack, data)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert requests.get(f"{slack.url}/behaviour", timeout=5).json()["mode"] == "ok"


def test_the_inbox_can_be_emptied(slack: FakeSlack) -> None:
    _hook(slack, {"text": "x"})
    assert requests.get(f"{slack.url}/health", timeout=5).json()["calls"]["ok"] == 1
    assert requests.delete(f"{slack.url}/messages", timeout=5).status_code == 200
    assert _messages(slack) == []
    assert requests.get(f"{slack.url}/health", timeout=5).json()["calls"]["ok"] == 0


def test_the_page_shows_what_slack_would(slack: FakeSlack) -> None:
    _hook(
        slack,
        {
            "text": "kaway is down",
            "blocks": [
                {"type": "header", "text": {"type": "plain_text", "text": ":red_circle: kaway is down"}},
                {"type": "section", "fields": [{"type": "mrkdwn", "text": "*Plan*\n`p-1` <https://x.example/p|open>"}]},
                {
                    "type": "rich_text",
                    "elements": [
                        {
                            "type": "rich_text_section",
                            "elements": [{"type": "text", "text": "<!here>", "style": {"code": True}}],
                        }
                    ],
                },
                {"type": "context", "elements": [{"type": "mrkdwn", "text": "<@U0ONCALL> _now_"}]},
                {"type": "divider"},
                {"type": "actions", "elements": [_button(url="https://x.example/r", style="primary")]},
            ],
        },
    )
    page = _page(slack)
    for html in (
        "<h2>🔴 kaway is down</h2>",
        '<strong>Plan</strong>\n<code>p-1</code> <a href="https://x.example/p" rel="noreferrer">open</a>',
        "<code>&lt;!here&gt;</code>",
        '<b class="mention">@U0ONCALL</b> <em>now</em>',
        "<hr>",
        '<span class="button primary"><a href="https://x.example/r" rel="noreferrer">Runbook</a></span>',
    ):
        assert html in page


def test_a_text_that_is_no_markup_is_shown_as_it_is_but_for_mentions(slack: FakeSlack) -> None:
    _hook(slack, {"text": "*a* `b` <!here>", "mrkdwn": False})
    assert '*a* `b` <b class="mention">@here</b>' in _page(slack)


def test_the_page_shows_replies_under_what_they_reply_to_and_marks_edits(slack: FakeSlack) -> None:
    first = _call(slack, "chat.postMessage", {"channel": _OPS, "text": "first"})
    _hook(slack, {"text": "between"})
    _call(slack, "chat.postMessage", {"channel": _OPS, "text": "reply", "thread_ts": first["ts"]})
    _call(slack, "chat.update", {"channel": _OPS, "ts": first["ts"], "text": "edited"})
    page = _page(slack)
    assert re.search(r'\(edited\).*>edited</div><ol class="replies"><li.*>reply</div></li></ol></li>.*between', page)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        '<img src="x" onerror="alert(1)">',
        "<javascript:alert(1)|click>",
        '<https://x.example/"onmouseover="alert(1)|click>',
        "```<b>``` `<i>` *<u>*",
        "\x000\x00 \x00",
        "\ud800 \u202e gnp.exe",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "<https://[|x> https://[",
        "*_~`" * 5000,
    ],
)
def test_the_page_is_safe_for_hostile_texts(slack: FakeSlack, text: str) -> None:
    plain, marked = {"type": "plain_text", "text": text[:150]}, {"type": "mrkdwn", "text": text[:2000]}
    rich = {"type": "rich_text_section", "elements": [{"type": "text", "text": text}, {"type": text}]}
    blocks = [
        {"type": "header", "text": plain},
        {"type": "section", "text": marked, "fields": [marked]},
        {"type": "rich_text", "elements": [rich]},
    ]
    # As `json` of requests would, but that refuses half a character.
    body = json.dumps({"text": text, "blocks": blocks})
    assert requests.post(slack.webhook("alerts"), data=body, timeout=5).text == "ok"
    answer = requests.get(slack.url, timeout=5)
    inside = answer.text.partition("<main>")[2]
    tags = set(re.findall(r"<([a-z0-9]+)", inside))
    assert tags.isdisjoint({"script", "img", "u", "style", "iframe", "svg", "object", "meta"})
    assert not re.search(r"<[^>]*\son[a-z]+=", inside)
    assert all(url.startswith("https://") for url in re.findall(r'href="([^"]*)"', inside))
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none';")


def test_unknown_paths_are_not_found(slack: FakeSlack) -> None:
    for method, path in (("GET", "/x"), ("POST", "/api/chat.delete"), ("POST", "/services"), ("DELETE", "/behaviour")):
        assert requests.request(method, slack.url + path, json={}, timeout=5).status_code == 404


@pytest.mark.process
def test_the_program_says_where_it_is_and_ends_when_told() -> None:
    command = [sys.executable, "-m", "loadtest.fake_slack", "--port", "0"]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE) as process, ended(process):
        assert process.stdout is not None
        ready = process.stdout.readline().decode()
        url = ready.split()[4].rstrip(":")
        assert ready.startswith("fake slack ready on http://127.0.0.1:")
        hook = ready.split()[-1].replace("CHANNEL", "ops")
        assert requests.post(hook, json={"text": "x"}, timeout=5).text == "ok"
        assert requests.get(f"{url}/messages", timeout=5).json()[0]["channel"] == "ops"
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
