from __future__ import annotations

from typing import Any

import pytest

from alerting.messages.block_limits import problems_of


def _plain(length: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": "x" * length}


def _section(**values: Any) -> dict[str, Any]:
    return {"type": "section", **values}


def _button(text: int = 5, url: str = "http://a") -> dict[str, Any]:
    return {"type": "button", "text": _plain(text), "url": url}


def _actions(*buttons: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(buttons)}


def _rich(*elements: dict[str, Any], kind: str = "rich_text_section") -> dict[str, Any]:
    return {"type": "rich_text", "elements": [{"type": kind, "elements": list(elements)}]}


_RIGHT: dict[str, dict[str, Any]] = {
    "header": {"type": "header", "text": _plain(150)},
    "section": _section(text=_plain(3000)),
    "field": _section(fields=[_plain(2000)]),
    "fields": _section(fields=[_plain(1)] * 10),
    "context": {"type": "context", "elements": [_plain(1)] * 10},
    "buttons": _actions(*[_button()] * 25),
    "button": _actions(_button(75)),
    "url": _actions(_button(url="http://" + "a" * 2993)),
    "rich text": _rich({"type": "text", "text": "x" * 3000}),
    "link": _rich({"type": "link", "text": "a", "url": "https://a"}),
}

_WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "header": ({"type": "header", "text": _plain(151)}, "blocks.0.text.text: 151 characters, at most 150"),
    "header of markup": ({"type": "header", "text": {"type": "mrkdwn", "text": "a"}}, "blocks.0.text: no text object"),
    "emoji count twice": ({"type": "header", "text": {"type": "plain_text", "text": "💥" * 76}}, "152 characters"),
    "entities count": ({"type": "header", "text": {"type": "plain_text", "text": "&" * 31}}, "155 characters"),
    "section": (_section(text=_plain(3001)), "blocks.0.text.text: 3001"),
    "empty section": (_section(), "neither text nor fields"),
    "empty text": (_section(text=_plain(0)), "blocks.0.text.text: empty"),
    "field": (_section(fields=[_plain(2001)]), "blocks.0.fields.0.text: 2001"),
    "fields": (_section(fields=[_plain(1)] * 11), "blocks.0.fields: 11"),
    "no field": (_section(fields=[]), "blocks.0.fields: 0"),
    "context": ({"type": "context", "elements": [_plain(1)] * 11}, "blocks.0.elements: 11"),
    "buttons": (_actions(*[_button()] * 26), "blocks.0.elements: 26"),
    "no button": (_actions(), "blocks.0.elements: 0"),
    "button": (_actions(_button(76)), "blocks.0.elements.0.text.text: 76"),
    "url": (_actions(_button(url="http://" + "a" * 2994)), "blocks.0.elements.0.url: 3001"),
    "scheme": (_actions(_button(url="javascript:x")), "not http or https"),
    "rich text": (_rich({"type": "text", "text": "x" * 3001}), "blocks.0.elements.0.elements.0.text: 3001"),
    "no rich text": ({"type": "rich_text", "elements": []}, "blocks.0.elements: none"),
    "empty rich text": (_rich(), "blocks.0.elements.0.elements: none"),
    "unknown rich text": (_rich({"type": "colour", "text": "a"}), "'colour' is none that we know"),
    "unknown block": ({"type": "hologram"}, "blocks.0.type: 'hologram' is none that we know"),
    "half a character": (_section(text={"type": "plain_text", "text": "\ud83d"}), "half a character"),
}


@pytest.mark.parametrize("block", _RIGHT.values(), ids=_RIGHT)
def test_a_block_at_its_limit_is_sent(block: dict[str, Any]) -> None:
    assert problems_of({"text": "x" * 4000, "blocks": [block]}) == []


@pytest.mark.parametrize(("block", "problem"), _WRONG.values(), ids=_WRONG)
def test_a_block_beyond_its_limit_is_named(block: dict[str, Any], problem: str) -> None:
    (found,) = problems_of({"text": "a", "blocks": [block]})
    assert problem in found


def test_a_message_beyond_its_limits_is_named() -> None:
    blocks = [{"type": "context", "elements": [_plain(1)]}]
    assert problems_of({"text": "", "blocks": []}) == ["text: empty"]
    assert problems_of({"text": "x" * 4001}) == ["text: 4001 characters, at most 4000"]
    assert problems_of({"text": "a", "blocks": blocks * 51}) == ["blocks: 51, at most 50"]
    (found,) = problems_of({"text": "a", "blocks": [_section(text=_plain(3000))] * 4})
    assert "bytes, at most 12000" in found
