"""`marketplace relay render`: a message as Slack would get it, and as a person would see it, without sending it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click
from rich.console import Console

from alerting.messages.block_limits import problems_of
from alerting.render.fixtures import example, example_names, fixture_payloads
from alerting.render.view import message_view
from app.cli.exit_codes import ExitCode
from app.cli.output import json_option, print_json, say
from app.domain.errors import InvalidInputError
from app.settings.relay import RelaySettings

_READABLE = "An example's name, a file, or - for standard input"


@click.command()
@click.argument("fixture", required=False)
@click.option("--list", "lists", is_flag=True, help="List the examples that come with the product.")
@click.option(
    "--mention", "mentions", multiple=True, help="Mention this user, group, here or channel if it is critical."
)
@json_option
@click.pass_context
def render(
    context: click.Context, fixture: str | None, mentions: tuple[str, ...], *, lists: bool, as_json: bool
) -> None:
    """Print the message that FIXTURE becomes: its JSON, and how a person sees it.

    FIXTURE is the name of an example (see --list), a file, or - for standard input: the JSON of a card, of a digest
    (`cards`, `counts`, `since`), of a notice of the pipeline or of a request of Alertmanager, whose alerts become a
    message each. Nothing is sent.
    """
    if lists:
        names = example_names()
        print_json(names) if as_json else click.echo("\n".join(names))
        return
    if fixture is None:
        raise click.UsageError(f"{_READABLE} is needed; --list shows the examples")
    payloads = fixture_payloads(_read(fixture), mentions=_checked(mentions))
    print_json(payloads[0] if len(payloads) == 1 else payloads)
    if not as_json:
        for payload in payloads:
            Console(highlight=False).print(message_view(payload))
    if problems := [problem for payload in payloads for problem in problems_of(payload)]:
        say("\n".join(f"Slack would refuse it: {problem}" for problem in problems))
        context.exit(ExitCode.CHECK_FAILED)


def _read(fixture: str) -> bytes:
    if fixture == "-":
        return sys.stdin.buffer.read()
    if re.fullmatch(r"[a-z-]+", fixture) and fixture in example_names():
        return example(fixture)
    try:
        return Path(fixture).read_bytes()
    except OSError as error:
        raise InvalidInputError("FIXTURE", f"is no example, and cannot be read: {error.strerror}") from error


def _checked(mentions: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return RelaySettings(mentions=mentions).mentions
    except ValueError as error:
        raise InvalidInputError("--mention", "must be the id of a user or a group, here or channel") from error
