"""Commands that documents and pages show: found in a text, and read as if they were to be run."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from app.cli.main import marketplace


def shown_commands(text: str) -> Iterator[str]:
    """Every `marketplace` command, in blocks and within lines."""
    blocks = re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    yield from (line for block in blocks for line in block.splitlines() if line.startswith("marketplace "))
    yield from re.findall(r"`(marketplace [^`\n|]+)`", text)


def parse_command(words: list[str]) -> None:
    """Let click read the options of a command, as if it were to be run."""
    command: click.Command = marketplace
    # With the settings of the command: click keeps the help option of the first context that it is given.
    context = click.Context(command, info_name=words[0], **command.context_settings)
    rest = words[1:]
    while isinstance(command, click.Group):
        found = command.get_command(context, rest[0]) if rest else None
        assert found is not None, f"there is no command {' '.join(words)}"
        command, rest = found, rest[1:]
        context = click.Context(command, context, info_name=words[0], **command.context_settings)
    arguments, unread, _ = command.make_parser(context).parse_args(list(rest))
    assert unread == []
    for parameter in command.params:
        if parameter.required:
            assert arguments.get(str(parameter.name)), f"{' '.join(words)} needs {parameter.name}"
