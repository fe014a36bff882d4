from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerting.messages.block_limits import MOST_BLOCK_BYTES, block_bytes, problems_of
from alerting.messages.cards import Card, Links, MessageKind
from alerting.messages.payloads import card_payload, digest_payload
from app.domain.alerts import AlertType, Severity
from tests.slack_messages import CARDS, HOSTILE, NOW, card, constructs, links, marked_up, texts

MENTIONS = ("U0ANNA", "S0ONCALL", "here", "channel")
_MENTIONED = "<@U0ANNA> <!subteam^S0ONCALL> <!here> <!channel>"

#: The first draw of a text builds tables of all characters.
_slow = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

_COUNTS = st.dictionaries(st.sampled_from([str(severity) for severity in Severity]), st.integers(0, 10**6))


@_slow
@given(CARDS)
def test_every_card_fits_and_nothing_in_it_is_markup(made: Card) -> None:
    payload = card_payload(made, mentions=MENTIONS)
    assert problems_of(payload) == []
    _has_no_markup_but_mentions(payload)
    assert all(re.fullmatch(r"https?://[^\s<>]+", url) for url in links(payload))
    json.dumps(payload).encode()


@_slow
@given(st.lists(CARDS, max_size=8), st.integers(1, 20), _COUNTS)
def test_every_digest_fits_and_nothing_in_it_is_markup(made: list[Card], times: int, counts: dict[str, int]) -> None:
    cards = [one.model_copy(update={"issue": f"{one.issue}{number}"}) for number in range(times) for one in made]
    payload = digest_payload(cards, counts=counts, since=NOW, mentions=MENTIONS)
    assert problems_of(payload) == []
    _has_no_markup_but_mentions(payload)


def _has_no_markup_but_mentions(payload: dict[str, object]) -> None:
    text, *mentions = marked_up(payload)
    assert constructs(text) == []
    assert mentions in ([], [_MENTIONED])
    # What is no mrkdwn is text in which Slack reads nothing; these switch off what it does to `text`.
    assert (payload["mrkdwn"], payload["link_names"], payload["unfurl_links"], payload["unfurl_media"]) == (False,) * 4


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_stands_there_as_text(text: str) -> None:
    made = card(title=text, error=text, agent=text, action=text, advice=text, subject={text: text}, environment=text)
    blocks = card_payload(made)["blocks"]
    kinds = {part["type"] for part in _parts(blocks)}
    assert kinds <= {"header", "context", "section", "plain_text", "rich_text", "rich_text_section", "text"} | {
        "rich_text_preformatted"
    }
    assert all(part["emoji"] is False for part in _parts(blocks) if part["type"] == "plain_text")


def test_a_mention_in_a_title_is_shown_and_not_made() -> None:
    payload = card_payload(card(title="<!channel> & all"))
    assert "⚠️ Warning: <!channel> & all" in list(texts(payload["blocks"]))
    assert payload["text"].startswith("Warning: &lt;!channel&gt; &amp; all")


def test_a_message_says_everything_that_a_person_needs() -> None:
    made = card(
        kind=MessageKind.UPDATE,
        plan_id="6f1c2d7a-0d52-4b0e-9a3c-5f7f1f0e8d11",
        job_id="b7a5d9f4-3a61-4c0f-8a8e-0c1f2d3e4a5b",
        subject={"agent": "kaway", "queue": "analysis"},
        error_code="network",
        error="connection refused\nat 12:00",
        action="It is not called.",
        advice="Mend it.",
        suppressed=17,
        suppressed_since=NOW - timedelta(hours=1),
        links=Links(runbook="http://a/r", dashboard="http://a/d", job="http://a/j", silence="http://a/s"),
    )
    payload = card_payload(made)
    shown = list(texts(payload["blocks"]))
    assert shown == [
        "⚠️ Warning, goes on: The circuit of kaway is open",
        "test · circuit_opened · since 2026-03-01 12:03 UTC",
        "Plan\n6f1c2d7a-0d52-4b0e-9a3c-5f7f1f0e8d11",
        "Job\nb7a5d9f4-3a61-4c0f-8a8e-0c1f2d3e4a5b",
        "Agent\nkaway",
        "Error code\nnetwork",
        "Queue\nanalysis",
        "Error",
        "connection refused\nat 12:00",
        "What the system did: ",
        "It is not called.",
        "\nWhat to do: ",
        "Mend it.",
        "+17 suppressed since 11:03 UTC",
        "Runbook",
        "Dashboard",
        "Job",
        "Silence",
    ]
    for said in ("kaway", "6f1c2d7a", "connection refused", "It is not called.", "Mend it.", "+17 suppressed"):
        assert said in payload["text"]


def test_a_recovery_says_how_long_it_lasted_and_has_nothing_to_silence() -> None:
    made = card(
        kind=MessageKind.RECOVERY,
        type=AlertType.RECOVERY_SUCCESS,
        title="The circuit of kaway is closed again",
        ended_at=NOW + timedelta(minutes=2),
        links=Links(runbook="http://a/r", silence="http://a/s"),
    )
    payload = card_payload(made)
    shown = list(texts(payload["blocks"]))
    assert shown[0] == "✅ Recovered: The circuit of kaway is closed again"
    assert "2026-03-01 12:03 UTC to 12:05 UTC, 2 min" in shown[1]
    assert links(payload) == ["http://a/r"]


@pytest.mark.parametrize(
    ("kind", "severity", "mentioned"),
    [
        (MessageKind.FIRING, Severity.CRITICAL, True),
        (MessageKind.UPDATE, Severity.CRITICAL, True),
        (MessageKind.RECOVERY, Severity.CRITICAL, False),
        (MessageKind.FIRING, Severity.WARNING, False),
        (MessageKind.FIRING, Severity.INFO, False),
    ],
)
def test_people_are_mentioned_when_something_critical_goes_on(
    kind: MessageKind, severity: Severity, *, mentioned: bool
) -> None:
    made = card(kind=kind, severity=severity)
    wanted = [_MENTIONED] if mentioned else []
    assert marked_up(card_payload(made, mentions=MENTIONS))[1:] == wanted
    digest = digest_payload([made, card()], counts={"warning": 2}, since=NOW, mentions=MENTIONS)
    assert marked_up(digest)[1:] == wanted
    assert marked_up(card_payload(made))[1:] == []


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "http://a/<!channel>",
        "http://a/ b",
        "http://a/|x",
        "ftp://a/b",
        "http://" + "a" * 3000,
        "",
        "http://a/\u202e",
    ],
)
def test_only_a_web_address_becomes_a_button(url: str) -> None:
    assert links(card_payload(card(links=Links(runbook=url, job="https://a/j")))) == ["https://a/j"]


def test_a_title_that_the_heading_cuts_stands_below_it_too() -> None:
    title = "word " * 50
    shown = list(texts(card_payload(card(title=title))["blocks"]))
    assert shown[0].endswith("…")
    assert title.strip() in shown


def test_letters_of_three_bytes_are_cut_shorter_but_all_parts_stay() -> None:
    long = "漢" * 3000
    made = card(
        title=long, description=long, error=long, action=long, advice=long, subject={f"a{n}": long for n in range(9)}
    )
    payload = card_payload(made)
    assert block_bytes(payload["blocks"]) <= MOST_BLOCK_BYTES
    assert {"Error", "What the system did: ", "\nWhat to do: "} <= set(texts(payload["blocks"]))


def test_the_worst_card_of_all_fits() -> None:
    long = "漢" * 3000
    url = "https://" + "a" * 1492
    made = card(
        severity=Severity.CRITICAL,
        environment=long,
        title=long,
        description=long,
        error="\\" * 3000,
        action=long,
        advice=long,
        subject={f"{number}{long}": long for number in range(9)},
        suppressed=10**9,
        links=Links(runbook=url, dashboard=url, job=url, silence=url),
    )
    payload = card_payload(made, mentions=["S" + "X" * 20] * 100)
    assert problems_of(payload) == []
    assert len(links(payload)) == 4


def test_a_digest_lists_issues_worst_first_and_counts_the_rest() -> None:
    cards = [
        card(issue="a", suppressed=3, links=Links(runbook="http://a/r")),
        card(issue="b", severity=Severity.CRITICAL, title="Redis does not answer"),
        card(issue="c", kind=MessageKind.RECOVERY, severity=Severity.CRITICAL, title="Back", ended_at=NOW),
        card(issue="a", started_at=NOW - timedelta(minutes=3)),
    ]
    payload = digest_payload(cards, counts={"critical": 2, "warning": 12}, since=NOW)
    assert list(texts(payload["blocks"])) == [
        "📬 14 messages since 2026-03-01 12:03 UTC",
        "2 critical, 12 warning",
        "Critical ",
        "Redis does not answer (since 12:03 UTC) ",
        "Warning ",
        "The circuit of kaway is open (5 times, since 12:00 UTC) ",
        "runbook",
        "Recovered ",
        "Back (since 12:03 UTC) ",
        "and 10 more",
    ]
    assert "and 10 more" in payload["text"]


def test_a_digest_of_many_lists_as_many_as_fit() -> None:
    cards = [card(issue=str(number), title=f"issue {number} " + "x" * 100) for number in range(500)]
    payload = digest_payload(cards, counts={"warning": 500}, since=NOW)
    lines = payload["blocks"][2]["elements"][0]["elements"]
    assert 20 < len(lines) < 100
    assert list(texts(payload["blocks"]))[-1] == f"and {500 - len(lines)} more"
    assert problems_of(payload) == []


def test_the_newest_card_of_an_issue_tells_its_state() -> None:
    ended = card(kind=MessageKind.RECOVERY, ended_at=NOW + timedelta(minutes=2), title="closed")
    again = card(started_at=NOW + timedelta(minutes=3), title="open again")
    assert "Recovered " in list(texts(digest_payload([card(), ended], counts={}, since=NOW)["blocks"]))
    assert "Warning " in list(texts(digest_payload([ended, again], counts={}, since=NOW)["blocks"]))


def _parts(part: object) -> list[dict[str, object]]:
    if isinstance(part, dict):
        return [part] * ("type" in part) + [found for value in part.values() for found in _parts(value)]
    return [found for element in part for found in _parts(element)] if isinstance(part, list) else []


def test_a_card_that_stands_for_several_messages_leaves_none_of_them_over() -> None:
    stands = card().model_copy(update={"messages": 12})
    payload = digest_payload([stands], counts={"warning": 12}, since=NOW)
    assert " more" not in payload["text"]
    assert not [text for text in texts(payload["blocks"]) if text.endswith(" more")]
