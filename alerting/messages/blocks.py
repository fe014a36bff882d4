"""The parts that messages to Slack are made of.

Text from outside stands in `plain_text` objects and in elements of rich text, in which Slack reads no markup; the only
`mrkdwn` is the line of mentions, which comes from the settings. See docs/decisions/untrusted-text-in-slack.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from alerting.messages.block_limits import MOST_HEADER
from alerting.messages.untrusted_text import cut, size

Block = dict[str, Any]

#: Of the address of a button; Slack takes 3,000, but all blocks together must fit as well.
_MOST_ADDRESS = 1500

_ADDRESS = re.compile(r"https?://[!#-;=?-\[\]_a-z~]+")

_MOST_MENTIONS = 20


def message(text: str, blocks: Sequence[Block]) -> dict[str, Any]:
    """Return a message; `text`, which must be escaped, stands in notifications and where blocks cannot be shown."""
    return {
        "text": text,
        "blocks": list(blocks),
        # Nothing in `text` is made bold, a link or a mention, and no address is fetched for a preview.
        "mrkdwn": False,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def plain(text: str) -> Block:
    """Return a text object in which Slack reads neither markup nor names of emoji."""
    return {"type": "plain_text", "text": text, "emoji": False}


def header(text: str) -> Block:
    """Return a heading, cut to what it may hold."""
    return {"type": "header", "text": plain(cut(text, MOST_HEADER))}


def context(text: str) -> Block:
    """Return a line in small letters."""
    return {"type": "context", "elements": [plain(text)]}


def fields(facts: Sequence[tuple[str, str]]) -> list[Block]:
    """Return names and values in two columns, if there are any."""
    return [{"type": "section", "fields": [plain(f"{name}\n{value}") for name, value in facts]}] if facts else []


def rich(text: str, *, bold: bool = False) -> Block:
    """Return an element of rich text, which is shown as it is."""
    return {"type": "text", "text": text, **({"style": {"bold": True}} if bold else {})}


def link(text: str, url: str) -> Block:
    """Return an element of rich text that leads to an address that `web_address` has returned."""
    return {"type": "link", "text": text, "url": url}


def paragraph(*elements: Block) -> Block:
    """Return elements of rich text as a paragraph of a rich text block."""
    return {"type": "rich_text_section", "elements": list(elements)}


def buttons(targets: Mapping[str, str | None]) -> list[Block]:
    """Return a row of buttons that open addresses, by their texts, without those whose address is none."""
    made = [
        {"type": "button", "action_id": f"open-{text.lower()}", "text": plain(text), "url": address}
        for text, url in targets.items()
        if (address := web_address(url))
    ]
    return [{"type": "actions", "elements": made}] if made else []


def mentioned(mentions: Sequence[str]) -> list[Block]:
    """Return the line that mentions these users, groups and words of the settings, if there are any."""
    text = " ".join(_mention(mention) for mention in mentions[:_MOST_MENTIONS])
    return [{"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}] if text else []


def web_address(url: str | None) -> str | None:
    """Return the URL if a button may lead there: http or https, of characters that stand in URLs, and not too long.

    >>> web_address("javascript:alert(1)"), web_address("http://here/a?b=1")
    (None, 'http://here/a?b=1')
    """
    return url if url and size(url) <= _MOST_ADDRESS and _ADDRESS.fullmatch(url) else None


def _mention(mention: str) -> str:
    if mention in {"here", "channel"}:
        return f"<!{mention}>"
    return f"<!subteam^{mention}>" if mention.startswith("S") else f"<@{mention}>"
