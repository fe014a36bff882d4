"""A digest: one message that stands for many, one issue a line, as many as fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from alerting.messages.block_limits import MOST_BLOCK_BYTES, block_bytes
from alerting.messages.blocks import Block, context, header, link, paragraph, rich, web_address
from alerting.messages.cards import Card, MessageKind
from alerting.messages.times import moment_text, time_text
from alerting.messages.untrusted_text import escaped, one_line
from app.domain.alerts import Severity

_WORST_FIRST = tuple(reversed(Severity))

_MOST_TITLE = 150

#: Issues that the plain text names.
_MOST_IN_TEXT = 5


@dataclass(frozen=True)
class _Line:
    """What is known of one issue: its newest card, how many messages it stands for, and how often it came."""

    card: Card
    messages: int
    occurrences: int
    since: datetime

    @property
    def word(self) -> str:
        return "Recovered" if self.card.kind is MessageKind.RECOVERY else self.card.severity.capitalize()


def digest_blocks(
    cards: Sequence[Card], counts: Mapping[str, int], since: datetime, mentions: Sequence[Block]
) -> list[Block]:
    """Return the blocks; issues that do not fit are counted."""
    found = _lines(cards)
    listed: list[Block] = []
    before = [header(_heading(counts, since)), *mentions, context(_counted(counts))]
    # A share is kept back for the last line.
    left = MOST_BLOCK_BYTES - block_bytes(before) - 500
    for line in found:
        block = _line_block(line)
        left -= block_bytes(block) + 2
        if left < 0:
            break
        listed.append(block)
    rest = _rest(found[: len(listed)], counts)
    items = {"type": "rich_text_list", "style": "bullet", "elements": listed}
    return [
        *before,
        *([{"type": "rich_text", "elements": [items]}] if listed else []),
        *([context(rest)] if rest else []),
    ]


def digest_text(cards: Sequence[Card], counts: Mapping[str, int], since: datetime) -> str:
    """Return the plain text, escaped."""
    found = _lines(cards)
    named = [f"{line.word}: {escaped(one_line(line.card.title, _MOST_TITLE))}" for line in found[:_MOST_IN_TEXT]]
    rest = _rest(found[:_MOST_IN_TEXT], counts)
    return "\n".join([f"{_heading(counts, since)}: {_counted(counts)}", *named, *([rest] if rest else [])])


def _lines(cards: Sequence[Card]) -> list[_Line]:
    """Return one line for each issue: those that go on before those that ended, and the worst first."""
    issues: dict[str, list[Card]] = {}
    for card in cards:
        issues.setdefault(card.issue, []).append(card)
    found = [
        _Line(
            max(same, key=lambda card: card.ended_at or card.started_at),
            sum(card.messages for card in same),
            sum(card.occurrences + card.suppressed for card in same),
            min(card.started_at for card in same),
        )
        for same in issues.values()
    ]
    return sorted(
        found, key=lambda line: (line.card.kind is MessageKind.RECOVERY, _WORST_FIRST.index(line.card.severity))
    )


def _line_block(line: _Line) -> Block:
    often = f"{line.occurrences} times, " if line.occurrences > 1 else ""
    parts = [
        rich(f"{line.word} ", bold=True),
        rich(f"{one_line(line.card.title, _MOST_TITLE)} ({often}since {time_text(line.since)}) "),
    ]
    targets = {"runbook": line.card.links.runbook, "dashboard": line.card.links.dashboard, "job": line.card.links.job}
    for text, url in targets.items():
        if address := web_address(url):
            parts.append(link(text, address))
            break
    return paragraph(*parts)


def _heading(counts: Mapping[str, int], since: datetime) -> str:
    return f"📬 {sum(counts.values())} messages since {moment_text(since)}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[severity]} {severity}" for severity in _WORST_FIRST if counts.get(severity)) or "none"


def _rest(listed: Sequence[_Line], counts: Mapping[str, int]) -> str:
    """Return how many messages are not among the lines."""
    more = sum(counts.values()) - sum(line.messages for line in listed)
    return f"and {more} more" if more > 0 else ""
