"""`marketplace db`: the schema of the database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from app.cli.exit_codes import ExitCode
from app.cli.masking import masked_url
from app.cli.output import json_option, print_fields, print_json, say
from app.domain.errors import DatabaseUnavailableError
from app.settings import load_settings
from app.storage.database import Database
from app.storage.revisions import NEWEST, current_revision, is_migrated

#: Between two looks for a server that does not answer.
_PAUSE_SECONDS = 2.0


@click.group()
def db() -> None:
    """Bring the database to the schema of this version, or tell how far it is."""


@db.command()
@click.option(
    "--wait-seconds",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Wait so long for a server that does not answer yet, as one that starts at the same time.",
)
@json_option
def upgrade(*, wait_seconds: float, as_json: bool) -> None:
    """Bring the database to the newest schema; safe to run twice, and from several machines at once."""
    # Alembic takes a second to import, and no other command needs it.
    from app.storage import migrate  # noqa: PLC0415

    with _database() as (database, place):
        before = _awaited_revision(database, wait_seconds)
        after = migrate.upgrade(database)
    if as_json:
        print_json({"database": place, "from": before, "to": after})
    else:
        say(f"{place} is at {after}" + (", as before" if before == after else f", was {before or 'empty'}"))


@db.command()
@json_option
@click.pass_context
def status(context: click.Context, *, as_json: bool) -> None:
    """Tell which schema the database has and which one this version needs; exit 6 when it is too old."""
    with _database() as (database, place):
        current = current_revision(database)
    state = {"database": place, "current": current, "newest": NEWEST, "upToDate": is_migrated(current)}
    if as_json:
        print_json(state)
    else:
        print_fields(state.items())
    if not is_migrated(current):
        say("run: marketplace db upgrade")
        context.exit(ExitCode.CHECK_FAILED)


def _awaited_revision(database: Database, wait_seconds: float) -> str | None:
    """Return the revision as soon as the server answers.

    Raises:
        DatabaseUnavailableError: It did not, in time.
    """
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return current_revision(database)
        except DatabaseUnavailableError as error:
            left = deadline - time.monotonic()
            if left <= 0:
                raise
            say(f"waiting for the database, {left:.0f} s at most: {error}")
        time.sleep(min(_PAUSE_SECONDS, left))


@contextmanager
def _database() -> Iterator[tuple[Database, str]]:
    settings = load_settings().database
    database = Database(settings)
    try:
        yield database, masked_url(settings.full_url.get_secret_value())
    finally:
        database.close()
