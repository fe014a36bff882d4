"""docs/reference/cli.md, from the commands of `marketplace`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from app.cli.main import marketplace
from deploy.artifacts.markdown import page

#: Columns; fixed, so that the page does not depend on who writes it.
_WIDTH = 100


def cli_page() -> str:
    """Return the page."""
    return page("The marketplace command", *map(_section, _contexts("marketplace", marketplace, None)))


def _contexts(name: str, command: click.Command, parent: click.Context | None) -> Iterator[click.Context]:
    """Yield the context of a command and of every command below it."""
    context = command.make_context(name, [], parent, resilient_parsing=True, terminal_width=_WIDTH, color=False)
    yield context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            if found is not None:
                yield from _contexts(below, found, context)


def _section(context: click.Context) -> str:
    return f"## {context.command_path}\n\n```text\n{context.command.get_help(context)}\n```"
