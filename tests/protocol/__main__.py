"""`make protocol`: random orders of moves and faults through the job protocol, and what must hold after each move.

The real store and the real protocol on SQLite, and on PostgreSQL where it is installed; orders are new in every run. A
second table shows that the machine can fail: known defects, and how soon it noticed them. Exit code 6 when something
did not hold, or a defect was not noticed; the order that showed it is printed, with as few moves as show it.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import click
from pydantic import SecretStr

from app.logs import configure_logs
from app.settings import DatabaseSettings, LogSettings
from app.storage.database import Database
from app.storage.migrate import upgrade
from tests.bench.databases import Databases
from tests.protocol.orders import DEFECTS, NOTICED_WITHIN, machine_on, orders_until_noticed, run_orders

_BROKEN = 6


@click.command
@click.option("--orders", default=300, show_default=True, help="Orders of moves on each database.")
@click.pass_context
def protocol(context: click.Context, *, orders: int) -> None:
    """Try to break the protocol."""
    configure_logs(LogSettings())
    # What the product tells of faults is no news here.
    logging.disable()
    broken = False
    with tempfile.TemporaryDirectory(prefix="marketplace-protocol-") as name, ExitStack() as servers:
        directory = Path(name)
        databases = Databases(directory, servers, ("SQLite", "PostgreSQL"))
        click.echo("| Database | Orders of moves | Checks of what must hold | Broken | Time |\n|---|---|---|---|---|")
        for database in databases.names:
            with databases.new(database) as url, machine_on(_migrated(url), directory / database) as sound:
                started, found = time.monotonic(), "no"
                try:
                    run_orders(sound, most=orders, new=True)
                except AssertionError as error:
                    broken, found = True, "yes"
                    click.echo("\n".join([str(error), *getattr(error, "__notes__", ())]), file=sys.stderr)
                seconds = time.monotonic() - started
                click.echo(f"| {database} | {sound.orders:,} | {sound.checks:,} | {found} | {seconds:.0f} s |")
        click.echo("\n| Defect | Noticed after |\n|---|---|")
        for defect in DEFECTS:
            with databases.new("SQLite") as url:
                noticed = orders_until_noticed(defect, _migrated(url), directory / defect.__name__, new=True)
            broken |= noticed is None
            after = f"not within {NOTICED_WITHIN} orders" if noticed is None else f"{noticed} orders"
            click.echo(f"| {(defect.__doc__ or '').rstrip('.')} | {after} |")
    if broken:
        context.exit(_BROKEN)


def _migrated(url: str) -> str:
    database = Database(DatabaseSettings(url=SecretStr(url)))
    try:
        upgrade(database)
    finally:
        database.close()
    return url


if __name__ == "__main__":
    protocol()
