"""`marketplace tokens`: who may call the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import click

from app.cli.output import json_option, print_json, print_table, say
from app.domain.roles import Actor, Role
from app.settings import load_settings
from app.storage.database import Database
from app.tokens import Tokens

#: Whoever can reach the database may do everything; the audit log names the way they took.
_OPERATOR = Actor("command line", Role.ADMIN)


@click.group()
def tokens() -> None:
    """Create, list and revoke API tokens; works on the database itself, so it needs no token."""


@tokens.command()
@click.option("--name", required=True, help="What the token is for; it stands in logs and in the audit log.")
@click.option("--role", required=True, type=click.Choice([role.value for role in Role]), help="What it allows.")
@click.option(
    "--expires-in-days", type=click.FloatRange(min=0, min_open=True), help="Without it, the token never ends."
)
@json_option
def create(*, name: str, role: str, expires_in_days: float | None, as_json: bool) -> None:
    """Create a token and print it: the only time that it can be seen."""
    expires_in = None if expires_in_days is None else timedelta(days=expires_in_days)
    with _tokens() as all_tokens:
        token = all_tokens.create(name, Role(role), by=_OPERATOR, expires_in=expires_in)
    if as_json:
        print_json({"name": name, "role": role, "token": token})
    else:
        say(f"token {name!r} with role {role}, shown this once:")
        click.echo(token)


@tokens.command(name="list")
@json_option
def list_tokens(*, as_json: bool) -> None:
    """List tokens by name; what they are is not kept."""
    with _tokens() as all_tokens:
        found = all_tokens.list()
    if as_json:
        print_json(
            [
                {
                    "name": token.name,
                    "role": token.role,
                    "valid": token.valid,
                    "createdAt": _time(token.created_at),
                    "expiresAt": _time(token.expires_at),
                    "revokedAt": _time(token.revoked_at),
                }
                for token in found
            ]
        )
        return
    print_table(
        ("Name", "Role", "Valid", "Created", "Expires", "Revoked"),
        [
            (
                token.name,
                token.role,
                "yes" if token.valid else "no",
                _time(token.created_at),
                _time(token.expires_at),
                _time(token.revoked_at),
            )
            for token in found
        ],
    )


@tokens.command()
@click.argument("name")
@json_option
def revoke(name: str, *, as_json: bool) -> None:
    """Make a token worthless, at once and for good."""
    with _tokens() as all_tokens:
        all_tokens.revoke(name, by=_OPERATOR)
    if as_json:
        print_json({"name": name, "revoked": True})
    else:
        say(f"token {name!r} is revoked")


@contextmanager
def _tokens() -> Iterator[Tokens]:
    database = Database(load_settings().database)
    try:
        yield Tokens(database)
    finally:
        database.close()


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
