"""`marketplace config`: what the settings are and where each one comes from."""

from __future__ import annotations

import click
from pydantic import TypeAdapter

from app.cli.exit_codes import ExitCode
from app.cli.masking import masked
from app.cli.output import json_option, print_json, print_table, say
from app.domain.errors import ConfigurationError
from app.settings import Settings, known_names, load_settings, origin_of

_JSON: TypeAdapter[object] = TypeAdapter(object)


@click.group()
def config() -> None:
    """Show and check the settings, read from the environment as every process reads them."""


@config.command()
@json_option
def show(*, as_json: bool) -> None:
    """Print every setting: its variable, its value (secrets masked) and where the value comes from."""
    settings = load_settings()
    rows = [
        {"name": name, "value": _value(settings, path), "origin": origin_of(path)}
        for name, path in known_names().items()
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(("Setting", "Value", "Origin"), [(r["name"], r["value"], r["origin"]) for r in rows])


@config.command()
@json_option
@click.pass_context
def validate(context: click.Context, *, as_json: bool) -> None:
    """Check the settings; print every problem at once and exit 6 when there are any."""
    problems: list[str] = []
    try:
        load_settings()
    except ConfigurationError as error:
        problems = str(error).splitlines()
    if as_json:
        print_json({"valid": not problems, "problems": problems})
    else:
        for problem in problems:
            click.echo(problem)
        say(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}" if problems else "the settings are valid")
    if problems:
        context.exit(ExitCode.CHECK_FAILED)


def _value(settings: Settings, path: str) -> object:
    group, field = path.split(".")
    return _JSON.dump_python(masked(getattr(getattr(settings, group), field)), mode="json")
