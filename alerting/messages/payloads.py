"""What Slack is sent: a card, or a digest of many, as Block Kit with a plain text beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerting.messages.block_limits import MOST_BLOCK_BYTES, MOST_HEADER, block_bytes
from alerting.messages.blocks import Block, buttons, context, fields, header, mentioned, message, paragraph, rich
from alerting.messages.cards import Card, MessageKind
from alerting.messages.digest import digest_blocks, digest_text
from alerting.messages.times import moment_text, span_text, time_text
from alerting.messages.untrusted_text import escaped, lines, one_line, size
from app.domain.alerts import Severity


@dataclass(frozen=True)
class _Room:
    """How long the parts of a message may be."""

    title: int
    sentence: int
    error: int
    value: int


#: The first one that all blocks fit in is taken: letters of some scripts take three bytes each.
_ROOMS = (_Room(300, 600, 1500, 120), _Room(200, 300, 600, 80), _Room(100, 120, 200, 40), _Room(60, 60, 60, 20))

#: Subjects of ours have three labels at most; an alert that is not ours may have any number.
_MOST_FACTS = 8

#: Shapes and not only colours tell them apart, and the word beside them says the same.
_MARKS = {Severity.CRITICAL: "🚨", Severity.WARNING: "⚠️", Severity.INFO: "💡"}
_RECOVERY_MARK = "✅"

#: Labels that say little by themselves, or that would look like something else.
_LABELS = {"job": "Scrape job", "slo": "Objective", "error_class": "Error class"}


def card_payload(card: Card, *, mentions: Sequence[str] = ()) -> dict[str, Any]:
    """Return the JSON of a message: `text` and `blocks`, within Slack's limits; `mentions` only if it is critical."""
    people = mentions if _is_urgent(card) else ()
    for room in _ROOMS:
        blocks = _card_blocks(card, people, room)
        if block_bytes(blocks) <= MOST_BLOCK_BYTES:
            break
    return message(_text(card), blocks)


def digest_payload(
    cards: Sequence[Card], *, counts: Mapping[str, int], since: datetime, mentions: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the JSON of one message that stands for many.

    `cards` are the most important ones, worst first; `counts` tells how many messages of each severity it stands for,
    those that are not among the cards too; `since` is when the oldest began to wait.
    """
    people = mentions if any(_is_urgent(card) for card in cards) else ()
    return message(digest_text(cards, counts, since), digest_blocks(cards, counts, since, mentioned(people)))


def _is_urgent(card: Card) -> bool:
    """Whether people are mentioned: something critical goes on."""
    return card.severity is Severity.CRITICAL and card.kind is not MessageKind.RECOVERY


def _card_blocks(card: Card, mentions: Sequence[str], room: _Room) -> list[Block]:
    mark = _RECOVERY_MARK if card.kind is MessageKind.RECOVERY else _MARKS[card.severity]
    opening = f"{mark} {_opening(card)}: "
    title = one_line(card.title, room.title)
    paragraphs = [
        # A heading has less room than a title may need.
        *([paragraph(rich(title))] if size(opening + title) > MOST_HEADER else []),
        *_body(card, room),
    ]
    return [
        header(opening + title),
        *mentioned(mentions),
        context(_about(card)),
        *fields([(one_line(name, room.value), one_line(value, room.value)) for name, value in _facts(card)]),
        *([{"type": "rich_text", "elements": paragraphs}] if paragraphs else []),
        *([context(_suppressed(card))] if card.suppressed else []),
        *buttons(
            {
                "Runbook": card.links.runbook,
                "Dashboard": card.links.dashboard,
                "Job": card.links.job,
                "Silence": None if card.kind is MessageKind.RECOVERY else card.links.silence,
            }
        ),
    ]


def _opening(card: Card) -> str:
    """Return the severity as a word, or that it is over."""
    if card.kind is MessageKind.RECOVERY:
        return "Recovered"
    if card.kind is MessageKind.UPDATE:
        return f"{card.severity.capitalize()}, {'came and went' if card.ended_at else 'goes on'}"
    return card.severity.capitalize()


def _about(card: Card) -> str:
    begun = moment_text(card.started_at)
    ended = card.ended_at
    times = f"{begun} to {time_text(ended)}, {span_text(ended - card.started_at)}" if ended else f"since {begun}"
    return f"{one_line(card.environment, 63)} · {card.type} · {times}"


def _facts(card: Card) -> list[tuple[str, str]]:
    """Return names and values that tell this case from others."""
    subject = dict(card.subject)
    known = {
        "Plan": card.plan_id,
        "Job": card.job_id,
        "Agent": card.agent or subject.get("agent"),
        "Error code": card.error_code,
    }
    subject.pop("agent", None)
    labels = {_LABELS.get(label) or label.capitalize(): subject[label] for label in sorted(subject)}
    return [(name, str(value)) for name, value in (known | labels).items() if value][:_MOST_FACTS]


def _body(card: Card, room: _Room) -> Iterator[Block]:
    if card.description:
        yield paragraph(rich(one_line(card.description, room.sentence)))
    if card.error:
        yield paragraph(rich("Error", bold=True))
        yield {"type": "rich_text_preformatted", "elements": [rich(lines(card.error, room.error))]}
    for number, (name, text) in enumerate(_sentences(card)):
        begin = "\n" if number else ""
        yield paragraph(rich(f"{begin}{name}: ", bold=True), rich(one_line(text, room.sentence)))


def _sentences(card: Card) -> Iterator[tuple[str, str]]:
    if card.action:
        yield "What the system did", card.action
    if card.advice:
        yield "What is left to do" if card.kind is MessageKind.RECOVERY else "What to do", card.advice


def _suppressed(card: Card) -> str:
    since = f" since {time_text(card.suppressed_since)}" if card.suppressed_since else ""
    return f"+{card.suppressed} suppressed{since}"


def _text(card: Card) -> str:
    """Return the whole message in a few lines, escaped."""
    parts = [
        f"{_opening(card)}: {escaped(one_line(card.title, 300))}",
        ", ".join(f"{escaped(one_line(name, 40))} {escaped(one_line(value, 60))}" for name, value in _facts(card)),
        f"Error: {escaped(one_line(card.error, 300))}" if card.error else "",
        *(f"{name}: {escaped(one_line(text, 300))}" for name, text in _sentences(card)),
        _suppressed(card) if card.suppressed else "",
    ]
    return "\n".join(part for part in parts if part)
