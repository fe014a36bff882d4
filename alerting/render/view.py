"""A message to Slack as a person sees it, in a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

_INDENT = 2


def message_view(payload: Mapping[str, Any]) -> RenderableType:
    """Return a drawing of the message; nothing in its texts is read as markup."""
    return Panel(Group(*(part for block in payload["blocks"] for part in _drawn(block))), box=box.ROUNDED, expand=True)


def message_picture(payload: Mapping[str, Any], *, width: int = 100) -> str:
    """Return the same as plain text, `width` columns wide, for a page."""
    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False, legacy_windows=False)
    with console.capture() as captured:
        console.print(message_view(payload))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _drawn(block: Mapping[str, Any]) -> Iterator[RenderableType]:
    if block["type"] == "header":
        yield Text(block["text"]["text"], style="bold")
    elif block["type"] == "context":
        yield Text(" ".join(element["text"] for element in block["elements"]), style="dim")
    elif block["type"] == "section" and "fields" in block:
        yield Padding(_columns(field["text"] for field in block["fields"]), (1, 0))
    elif block["type"] == "section":
        yield Text(block["text"]["text"], style="reverse")
    elif block["type"] == "actions":
        yield Text("")
        for button in block["elements"]:
            yield Text.assemble(
                ("[ ", "dim"), (button["text"]["text"], "bold"), (" ] ", "dim"), (button["url"], "blue")
            )
    elif block["type"] == "rich_text":
        for element in block["elements"]:
            yield _rich(element)


def _columns(texts: Iterable[str]) -> Table:
    table = Table.grid(padding=(0, 4))
    cells = [Text(text, overflow="fold") for text in texts]
    for number in range(0, len(cells), 2):
        table.add_row(*cells[number : number + 2])
    return table


def _rich(element: Mapping[str, Any]) -> RenderableType:
    if element["type"] == "rich_text_preformatted":
        text = "".join(part["text"] for part in element["elements"])
        return Padding(Panel(Text(text), box=box.SQUARE), (0, 0, 0, _INDENT))
    if element["type"] == "rich_text_list":
        items = Table.grid(padding=(0, 1))
        for item in element["elements"]:
            items.add_row("•", _rich(item))
        return items
    return Text.assemble(
        *(
            (
                part["text"],
                "bold" if part.get("style", {}).get("bold") else "underline" if part["type"] == "link" else "",
            )
            for part in element["elements"]
        )
    )
