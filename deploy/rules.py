"""`marketplace rules`: the rules of Prometheus, and what Alertmanager does with alerts, for the present settings."""

from __future__ import annotations

from pathlib import Path

import click

from alerting.alertmanager import RELAY_URL
from app.cli.output import json_option, print_json
from app.rule_files import rule_file
from app.settings import load_settings
from deploy.artifacts.rule_documents import documents, rule_groups


@click.group()
def rules() -> None:
    """Show or write the rules of Prometheus for the present settings.

    MARKETPLACE_MONITORING__RETENTION_HOURS decides which there are: no window is longer than half of it.
    """


@rules.command()
@json_option
def show(*, as_json: bool) -> None:
    """Print all rules as one rule file."""
    groups = rule_groups(load_settings().monitoring)
    if as_json:
        print_json({"groups": [group.document() for group in groups]})
    else:
        click.echo(rule_file(groups), nl=False)


@rules.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--relay-url", default=RELAY_URL, show_default=True, help="Where Alertmanager sends alerts.")
@click.option(
    "--relay-token-file",
    type=click.Path(path_type=Path),
    help="File with the token that Alertmanager shows the relay, as Alertmanager finds it.",
)
@json_option
def write(directory: Path, relay_url: str, relay_token_file: Path | None, *, as_json: bool) -> None:
    """Write the recording rules, the alert rules and the configuration of Alertmanager into DIRECTORY.

    Files of these names are replaced. The one for Alertmanager holds the address of the second webhook.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in documents(load_settings().monitoring, relay_url, relay_token_file).items():
        (directory / name).write_text(text, encoding="utf-8")
        written.append(str(directory / name))
    if as_json:
        print_json({"written": written})
    else:
        click.echo("\n".join(written))
