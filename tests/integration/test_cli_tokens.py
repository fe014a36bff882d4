"""`marketplace tokens` as a process."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from app.domain.errors import NotAuthenticatedError
from app.domain.roles import Actor, Role
from app.settings import DatabaseSettings
from app.storage.database import Database
from app.tokens import Tokens
from tests.web_process import MARKETPLACE, environment


@pytest.fixture
def url(sqlite_template: Path, tmp_path: Path) -> str:
    """Return the URL of a migrated database."""
    path = tmp_path / "marketplace.db"
    path.write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{path}"


def tokens(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return subprocess.run(
        [MARKETPLACE, "tokens", *arguments],
        env=environment(DATABASE_URL=url),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def who(url: str, token: str) -> Actor:
    """Return whom the API would take the carrier of this token for."""
    database = Database(DatabaseSettings.model_validate({"url": url}))
    try:
        return Tokens(database).authenticate(f"Bearer {token}")
    finally:
        database.close()


def test_a_created_token_stands_alone_on_standard_output_and_works(url: str) -> None:
    created = tokens(url, "create", "--name", "ci", "--role", "approver")
    assert created.returncode == 0
    assert who(url, created.stdout.strip()) == Actor("ci", Role.APPROVER)
    assert "shown this once" in created.stderr


def test_tokens_are_listed_without_themselves_and_revoked_by_name(url: str) -> None:
    token = json.loads(tokens(url, "create", "--name", "ci", "--role", "viewer", "--json").stdout)["token"]
    tokens(url, "create", "--name", "ops", "--role", "admin", "--expires-in-days", "0.5")

    assert tokens(url, "revoke", "ci").returncode == 0

    listed = tokens(url, "list", "--json").stdout
    assert token not in listed
    assert [(entry["name"], entry["role"], entry["valid"]) for entry in json.loads(listed)] == [
        ("ci", "viewer", False),
        ("ops", "admin", True),
    ]
    assert json.loads(listed)[1]["expiresAt"].endswith("Z")
    assert "ops" in tokens(url, "list").stdout
    with pytest.raises(NotAuthenticatedError):
        who(url, token)


def test_an_empty_list_is_an_empty_list(url: str) -> None:
    assert json.loads(tokens(url, "list", "--json").stdout) == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("create", "--name", "ci", "--role", "root"), 2),
        (("create", "--name", "a b", "--role", "viewer"), 2),
        (("create", "--name", "ci", "--role", "viewer", "--expires-in-days", "0"), 2),
        (("create", "--role", "viewer"), 2),
        (("revoke", "nobody"), 3),
    ],
    ids=["role", "name", "lifetime", "no name", "unknown"],
)
def test_what_cannot_be_done_ends_with_the_documented_code(url: str, arguments: tuple[str, ...], code: int) -> None:
    ended = tokens(url, *arguments)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert "Traceback" not in ended.stderr
