"""What Slack accepts: https://docs.slack.dev/reference/block-kit/blocks. A message over a limit is refused as a whole.

All lengths of texts in blocks are those of `alerting.messages.untrusted_text.size`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from alerting.messages.untrusted_text import size, units

#: Of the plain text beside the blocks; Slack cuts at 40,000, and recommends this.
MOST_TEXT = 4000
MOST_BLOCKS = 50
MOST_HEADER = 150
MOST_SECTION = 3000
MOST_FIELDS = 10
MOST_FIELD = 2000
MOST_CONTEXT_ELEMENTS = 10
MOST_BUTTONS = 25
MOST_BUTTON_TEXT = 75
MOST_URL = 3000
#: No limit is documented for rich text; that of a text object is on the safe side.
MOST_RICH_TEXT = 3000
#: Bytes of all blocks as JSON. Not documented: at about 13,200 Slack answers `msg_blocks_too_long`, see
#: https://github.com/slackapi/bolt-js/issues/2509
MOST_BLOCK_BYTES = 12_000


def block_bytes(blocks: object) -> int:
    """Return how many bytes blocks are as JSON in UTF-8."""
    return len(json.dumps(blocks, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def problems_of(payload: Mapping[str, Any]) -> list[str]:
    """Return what Slack would refuse a message for, each with its place; an empty list when all is well."""
    blocks = payload.get("blocks", [])
    # It is escaped already.
    found = [*_text_problems("text", payload.get("text"), MOST_TEXT, units)]
    if len(blocks) > MOST_BLOCKS:
        found.append(f"blocks: {len(blocks)}, at most {MOST_BLOCKS}")
    if (taken := block_bytes(blocks)) > MOST_BLOCK_BYTES:
        found.append(f"blocks: {taken} bytes, at most {MOST_BLOCK_BYTES}")
    for number, block in enumerate(blocks):
        check = _CHECKS.get(block.get("type"))
        where = f"blocks.{number}"
        found += check(where, block) if check else [f"{where}.type: {block.get('type')!r} is none that we know"]
    return found


def _header_problems(where: str, block: Mapping[str, Any]) -> Iterator[str]:
    yield from _object_problems(f"{where}.text", block.get("text"), MOST_HEADER, kinds=("plain_text",))


def _section_problems(where: str, block: Mapping[str, Any]) -> Iterator[str]:
    if "text" not in block and "fields" not in block:
        yield f"{where}: neither text nor fields"
    if "text" in block:
        yield from _object_problems(f"{where}.text", block["text"], MOST_SECTION)
    if "fields" in block:
        yield from _count_problems(f"{where}.fields", block["fields"], MOST_FIELDS)
        for number, field in enumerate(block["fields"]):
            yield from _object_problems(f"{where}.fields.{number}", field, MOST_FIELD)


def _context_problems(where: str, block: Mapping[str, Any]) -> Iterator[str]:
    yield from _count_problems(f"{where}.elements", block.get("elements", []), MOST_CONTEXT_ELEMENTS)
    for number, element in enumerate(block.get("elements", [])):
        yield from _object_problems(f"{where}.elements.{number}", element, MOST_SECTION)


def _action_problems(where: str, block: Mapping[str, Any]) -> Iterator[str]:
    yield from _count_problems(f"{where}.elements", block.get("elements", []), MOST_BUTTONS)
    for number, button in enumerate(block.get("elements", [])):
        here = f"{where}.elements.{number}"
        if button.get("type") != "button":
            yield f"{here}.type: {button.get('type')!r} is none that we know"
        yield from _object_problems(f"{here}.text", button.get("text"), MOST_BUTTON_TEXT, kinds=("plain_text",))
        yield from _url_problems(f"{here}.url", button.get("url"))


def _rich_text_problems(where: str, block: Mapping[str, Any]) -> Iterator[str]:
    if not block.get("elements"):
        yield f"{where}.elements: none"
    for number, element in enumerate(block.get("elements", [])):
        here = f"{where}.elements.{number}"
        if element["type"] in {"text", "link"}:
            yield from _text_problems(f"{here}.text", element.get("text"), MOST_RICH_TEXT)
            if element["type"] == "link":
                yield from _url_problems(f"{here}.url", element.get("url"))
        elif element["type"] in {"rich_text_section", "rich_text_preformatted", "rich_text_list"}:
            yield from _rich_text_problems(here, element)
        else:
            yield f"{here}.type: {element['type']!r} is none that we know"


_CHECKS: Mapping[str, Callable[[str, Mapping[str, Any]], Iterator[str]]] = {
    "header": _header_problems,
    "section": _section_problems,
    "context": _context_problems,
    "actions": _action_problems,
    "rich_text": _rich_text_problems,
}


def _object_problems(
    where: str, text: Mapping[str, Any] | None, most: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")
) -> Iterator[str]:
    if not text or text.get("type") not in kinds:
        yield f"{where}: no text object of the type {' or '.join(kinds)}"
    else:
        yield from _text_problems(f"{where}.text", text.get("text"), most)


def _text_problems(where: str, text: object, most: int, length: Callable[[str], int] = size) -> Iterator[str]:
    if not isinstance(text, str) or not text.strip():
        yield f"{where}: empty"
    elif length(text) > most:
        yield f"{where}: {length(text)} characters, at most {most}"
    elif any("\ud800" <= character <= "\udfff" for character in text):
        yield f"{where}: has half a character"


def _url_problems(where: str, url: object) -> Iterator[str]:
    yield from _text_problems(where, url, MOST_URL)
    if not str(url).startswith(("http://", "https://")):
        yield f"{where}: not http or https"


def _count_problems(where: str, elements: list[Any], most: int) -> Iterator[str]:
    if not 1 <= len(elements) <= most:
        yield f"{where}: {len(elements)}, at least 1 and at most {most}"
