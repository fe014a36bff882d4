"""Cards for tests, hostile texts, and a reader of messages that finds what Slack would do with their texts."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from alerting.messages.cards import Card, Links, MessageKind
from app.domain.alerts import AlertType, Severity

NOW = datetime(2026, 3, 1, 12, 3, tzinfo=UTC)

HOSTILE = [
    "<!channel>",
    "<!here|here>",
    "<@U1>",
    "<#C1>",
    "<!subteam^S1>",
    "<https://evil.example|click>",
    "https://evil.example/a?b=1",
    "evil.example",
    "mail@evil.example",
    "@here #general",
    "&lt;!channel&gt; & &amp;lt;",
    "`code` ```block```",
    "*bold* _it_ ~no~",
    ":boom: :+1:",
    "\u202egnp.exe\u202c \u2066x\u2069",
    "\u200b\u200d\ufeff\u2060\u00ad",
    "\x00\x07\x1b[31m",
    "a\n\n\n\n> b\r\nc\u2028d",
    "e" + "\u0301" * 200,
    "👩🏽‍💻🇧🇷" * 50,
    "漢字" * 5000,
    "x" * 100_000,
]

TEXTS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(st.sampled_from([*HOSTILE[:19], "<", ">", "&", ";", "!", "|", " ", "\n", "🇧", "\u0301"]), max_size=60).map(
        "".join
    ),
)

_LINKS = st.one_of(
    st.none(),
    st.sampled_from(
        ["javascript:alert(1)", "http://a/<!channel>", "https://grafana.example/d/a?from=1", "http://" + "a" * 1480]
    ),
    TEXTS,
)

_MOMENTS = st.integers(0, 10_000_000).map(lambda seconds: NOW + timedelta(seconds=seconds))

CARDS = st.builds(
    Card,
    kind=st.sampled_from(MessageKind),
    issue=TEXTS,
    alert=TEXTS,
    type=st.sampled_from(AlertType),
    severity=st.sampled_from(Severity),
    environment=TEXTS,
    title=TEXTS,
    description=TEXTS,
    subject=st.dictionaries(TEXTS, TEXTS, max_size=12),
    plan_id=st.none() | st.uuids(),
    job_id=st.none() | st.uuids(),
    agent=st.none() | TEXTS,
    error_code=st.none() | TEXTS,
    error=st.none() | TEXTS,
    action=TEXTS,
    advice=TEXTS,
    started_at=st.just(NOW),
    ended_at=st.none() | _MOMENTS,
    suppressed=st.integers(0, 10**9),
    suppressed_since=st.none() | _MOMENTS,
    links=st.builds(Links, runbook=_LINKS, dashboard=_LINKS, job=_LINKS, silence=_LINKS),
)


def card(**values: Any) -> Card:
    """Return a card of a dead agent, with these values instead."""
    return Card(
        **{
            "kind": MessageKind.FIRING,
            "issue": "MarketplaceCircuitOpened/test/agent=kaway",
            "alert": "MarketplaceCircuitOpened",
            "type": AlertType.CIRCUIT_OPENED,
            "severity": Severity.WARNING,
            "environment": "test",
            "title": "The circuit of kaway is open",
            "started_at": NOW,
            **values,
        }
    )


def texts(part: object) -> Iterator[str]:
    """Yield every text of a message or a part of it that a person sees."""
    if isinstance(part, Mapping):
        for name, value in part.items():
            if name == "text" and isinstance(value, str):
                yield value
            else:
                yield from texts(value)
    elif isinstance(part, list):
        for element in part:
            yield from texts(element)


def marked_up(payload: Mapping[str, Any]) -> list[str]:
    """Return the texts of a message in which Slack reads markup: its `text`, and every mrkdwn object."""
    return [payload["text"], *_mrkdwn(payload["blocks"])]


def _mrkdwn(part: object) -> Iterator[str]:
    if isinstance(part, Mapping):
        if part.get("type") == "mrkdwn":
            yield part["text"]
        for value in part.values():
            yield from _mrkdwn(value)
    elif isinstance(part, list):
        for element in part:
            yield from _mrkdwn(element)


def constructs(text: str) -> list[str]:
    """Return what Slack's markup has in angle brackets, and the links and emoji that it finds by itself."""
    return re.findall(r"<[^>]*>?|\w+://\w|[\w.+-]+@\w+|(?<![\w.])(?:[a-z]+\.)+[a-z]{2,}\b|:[a-z0-9_+-]+:|[@#]\w", text)


def links(payload: Mapping[str, Any]) -> list[str]:
    """Return where buttons and links of a message lead."""
    found: list[str] = []
    waiting: list[object] = [payload["blocks"]]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            if "url" in part:
                found.append(part["url"])
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return found


def decoded(text: str) -> str:
    """Return a text as Slack shows it: with the three entities decoded, and without joiners."""
    return html.unescape(text).replace("\u2060", "")
