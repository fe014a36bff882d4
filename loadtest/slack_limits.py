"""What Slack takes: its limits for messages, and the word that it refuses a message with.

Source: docs.slack.dev, reference of blocks and of composition objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

#: Characters of `text`; Slack cuts longer ones of webhooks, and refuses those of its API.
MOST_TEXT = 40_000
_MOST_BLOCKS = 50
_MOST_FIELDS = 10
_MOST_ID = 255
_MOST_URL = 3000

_RICH_ELEMENTS = {
    "rich_text_section",
    "rich_text_list",
    "rich_text_quote",
    "rich_text_preformatted",
}


class _InvalidError(Exception):
    """A block that Slack does not take."""


def refusal(payload: object) -> str | None:
    """Return Slack's word for what is wrong with a message, or None when it takes it.

    >>> refusal({"text": "hello"})
    >>> refusal({"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]})
    'invalid_blocks'
    """
    if not isinstance(payload, dict):
        return "invalid_payload"
    text, blocks = payload.get("text"), payload.get("blocks")
    if (text is not None and not isinstance(text, str)) or (blocks is not None and not isinstance(blocks, list)):
        return "invalid_payload"
    if not text and not blocks:
        return "no_text"
    if text and len(text) > MOST_TEXT:
        return "msg_too_long"
    try:
        _check_blocks(blocks or [])
    except _InvalidError:
        return "invalid_blocks"
    return None


def _check_blocks(blocks: list[Any]) -> None:
    _demand(len(blocks) <= _MOST_BLOCKS)
    ids = [block["block_id"] for block in blocks if isinstance(block, dict) and "block_id" in block]
    _demand(len(set(map(str, ids))) == len(ids) and all(_is_text(block_id, _MOST_ID) for block_id in ids))
    for block in blocks:
        _demand(isinstance(block, dict))
        match block.get("type"):
            case "header":
                _text(block.get("text"), most=150, kinds=("plain_text",))
            case "section":
                _section(block)
            case "context":
                for element in _elements(block, most=10):
                    _text(element, most=2000)
            case "actions":
                for element in _elements(block, most=25):
                    _button(element)
            case "rich_text":
                for element in _elements(block, most=500):
                    _demand(element.get("type") in _RICH_ELEMENTS and isinstance(element.get("elements"), list))
            case kind:
                _demand(kind == "divider")


def _section(block: Mapping[str, Any]) -> None:
    text, fields = block.get("text"), block.get("fields")
    _demand(text is not None or fields is not None)
    if text is not None:
        _text(text, most=3000)
    if fields is not None:
        _demand(isinstance(fields, list) and 1 <= len(fields) <= _MOST_FIELDS)
        for field in fields:
            _text(field, most=2000)
    if "accessory" in block:
        _button(block["accessory"])


def _button(element: object) -> None:
    _demand(isinstance(element, dict) and element.get("type") == "button")
    assert isinstance(element, dict)  # noqa: S101 -- just demanded
    _text(element.get("text"), most=75, kinds=("plain_text",))
    _demand(_is_text(element.get("action_id", "x"), _MOST_ID) and _is_text(element.get("value", "x"), 2000))
    _demand(element.get("style", "primary") in {"primary", "danger"})
    if "url" in element:
        _demand(_is_text(element["url"], _MOST_URL) and urlsplit(element["url"]).scheme in {"http", "https"})


def _elements(block: Mapping[str, Any], *, most: int) -> list[dict[str, Any]]:
    elements = block.get("elements")
    _demand(isinstance(elements, list) and 1 <= len(elements) <= most)
    assert isinstance(elements, list)  # noqa: S101 -- just demanded
    _demand(all(isinstance(element, dict) for element in elements))
    return elements


def _text(value: object, *, most: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> None:
    _demand(isinstance(value, dict) and value.get("type") in kinds and _is_text(value.get("text"), most))


def _is_text(value: object, most: int) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= most


def _demand(met: bool) -> None:  # noqa: FBT001 -- what it demands is its whole name
    if not met:
        raise _InvalidError
