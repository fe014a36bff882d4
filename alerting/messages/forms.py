"""Other forms of a message that was drawn: its plain text, the first line of it, or with a note on repeats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alerting.messages.cards import Card

_MOST_BLOCKS = 50
_MOST_PLAIN_CHARACTERS = 3000

REPEAT = "This may be a repeat, or a part of it: an earlier attempt to send it ended without an answer."


def plain(payload: Mapping[str, Any], card: Card) -> dict[str, Any]:
    """Return a message as its plain text alone."""
    text = str(payload.get("text") or "")[:_MOST_PLAIN_CHARACTERS]
    # Without blocks Slack would take stars and underscores in it for markup.
    return {"text": text or card.alert, "mrkdwn": False}


def first_line(payload: Mapping[str, Any], card: Card) -> dict[str, Any]:
    """Return a message as the first line of its plain text: what it tells of, and that it ended."""
    text = str(payload.get("text") or "").partition("\n")[0]
    return plain({"text": text}, card)


def marked_as_repeat(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message with a note that Slack may have it already."""
    blocks = list(payload.get("blocks") or ())
    if 0 < len(blocks) < _MOST_BLOCKS:
        blocks.append({"type": "context", "elements": [{"type": "plain_text", "text": REPEAT}]})
    return {**payload, "text": f"{payload['text']}\n{REPEAT}", "blocks": blocks}
