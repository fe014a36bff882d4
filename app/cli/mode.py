"""`marketplace mode`: how the Phase 1 jobs of approved plans are run."""

from __future__ import annotations

from collections.abc import Mapping

import click

from app.cli.output import json_option, print_fields, print_json, reason_option, say
from app.cli.remote import connect
from app.domain.controls import Mode


@click.group()
def mode() -> None:
    """Show or change how the jobs of approved plans are run: by workers, or in place by the API."""


@mode.command()
@json_option
def show(*, as_json: bool) -> None:
    """Show the mode, and who changed to it, when and why."""
    _print(connect().get("mode"), as_json=as_json)


@mode.command()
@reason_option
@json_option
def sync(reason: str, *, as_json: bool) -> None:
    """Run the job of a plan in place when it is approved: the first step of a rollback."""
    _change(Mode.SYNC, reason, as_json=as_json)
    say("next: marketplace queue drain --reason TEXT")


@mode.command()
@reason_option
@json_option
def queue(reason: str, *, as_json: bool) -> None:
    """Leave the jobs of approved plans to the workers: the usual way."""
    _change(Mode.QUEUE, reason, as_json=as_json)
    say("next: marketplace queue show")


def _change(wanted: Mode, reason: str, *, as_json: bool) -> None:
    _print(connect().put("mode", {"mode": wanted, "reason": reason}), as_json=as_json)


def _print(found: Mapping[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        print_fields(found.items())
