"""What commands print: data on standard output, for people or as JSON for programs; messages on standard error.

Titles, errors and tasks come from agents and uploads, so control characters in them never reach the terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_Function = TypeVar("_Function", bound=Callable[..., Any])

#: Columns of a table that goes to a file or a pipe: wide enough that no id is ever cut.
_PIPE_WIDTH = 240


def json_option(function: _Function) -> _Function:
    """Add `--json`, which arrives as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")(function)


def reason_option(function: _Function) -> _Function:
    """Add `--reason`, which must be given and stands in the audit log."""
    return click.option("--reason", required=True, help="Why; stands in the audit log.")(function)


def print_json(data: object) -> None:
    """Print one JSON document; an empty list prints `[]`."""
    click.echo(json.dumps(data, indent=2))


def print_json_line(data: object) -> None:
    """Print one JSON document on one line, for commands that print several."""
    click.echo(json.dumps(data))


def say(text: str) -> None:
    """Print a message for a person, on standard error."""
    click.echo(text, err=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under column titles."""
    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(readable(value)) for value in row))
    _console().print(table)


def print_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one pair a line."""
    grid = Table.grid(padding=(0, 2))
    for name, value in fields:
        grid.add_row(Text(name, style="bold"), Text(readable(value)))
    _console().print(grid)


def readable(value: object) -> str:
    r"""Return the text of a value on one line: None as `-`, and nothing that could steer a terminal.

    >>> readable("red \x1b[31m alert\n")
    'red ?[31m alert '
    """
    if value is None or value == "":
        return "-"
    return "".join(c if c.isprintable() else (" " if c.isspace() else "?") for c in str(value))


def _console() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
