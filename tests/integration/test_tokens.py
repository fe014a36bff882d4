from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from app.domain.errors import ConflictError, InvalidInputError, NotAuthenticatedError, NotFoundError
from app.domain.roles import Actor, Role
from app.storage.database import Database
from app.storage.schema import api_tokens, audit_log
from app.tokens import Tokens, new_token

ROOT = Actor("root", Role.ADMIN)


@pytest.fixture
def tokens(database: Database) -> Tokens:
    """Return the tokens of a database of its own."""
    return Tokens(database)


def bearer(token: str) -> str:
    """Return the header that carries a token."""
    return f"Bearer {token}"


def test_a_token_is_32_random_bytes_and_only_its_hash_is_kept(tokens: Tokens, database: Database) -> None:
    token = tokens.create("ci", Role.APPROVER, by=ROOT)
    assert re.fullmatch(r"mp_[A-Za-z0-9_-]{43}", token)
    assert tokens.authenticate(bearer(token)) == Actor("ci", Role.APPROVER)
    with database.read() as connection:
        row = connection.execute(select(api_tokens)).one()
        audit = connection.execute(select(audit_log)).one()
    assert token not in repr(row)
    assert len(row.token_hash) == 64
    assert (audit.actor, audit.action, audit.target_id, audit.details) == (
        "root",
        "token.create",
        "ci",
        {"role": "approver"},
    )


def test_a_name_is_taken_once_even_when_revoked(tokens: Tokens) -> None:
    tokens.create("ci", Role.VIEWER, by=ROOT)
    tokens.revoke("ci", by=ROOT)
    with pytest.raises(ConflictError, match="ci"):
        tokens.create("ci", Role.VIEWER, by=ROOT)


@pytest.mark.parametrize("name", ["", " ", "a b", "a\n", "-a", "a" * 101, "é", "a;b"])
def test_a_name_that_could_be_anything_else_is_refused(tokens: Tokens, name: str) -> None:
    with pytest.raises(InvalidInputError, match="name"):
        tokens.create(name, Role.VIEWER, by=ROOT)


@pytest.mark.parametrize("days", [0, -1, 3661])
def test_a_lifetime_is_more_than_nothing_and_at_most_ten_years(tokens: Tokens, days: int) -> None:
    with pytest.raises(InvalidInputError, match="expiresIn"):
        tokens.create("ci", Role.VIEWER, by=ROOT, expires_in=timedelta(days=days))


def test_revoking_twice_or_what_is_not_there_is_not_found(tokens: Tokens) -> None:
    token = tokens.create("ci", Role.VIEWER, by=ROOT)
    tokens.revoke("ci", by=ROOT)
    with pytest.raises(NotAuthenticatedError):
        tokens.authenticate(bearer(token))
    for name in ("ci", "other"):
        with pytest.raises(NotFoundError):
            tokens.revoke(name, by=ROOT)


def test_adopting_a_token_again_changes_nothing(tokens: Tokens) -> None:
    token = new_token()
    tokens.adopt("admin", token, Role.ADMIN)
    before = tokens.list()
    tokens.adopt("admin", token, Role.ADMIN)
    assert tokens.list() == before
    assert tokens.authenticate(bearer(token)) == Actor("admin", Role.ADMIN)


def test_adopting_another_token_under_a_name_replaces_the_first(tokens: Tokens) -> None:
    first, second = new_token(), new_token()
    tokens.adopt("admin", first, Role.ADMIN)
    tokens.revoke("admin", by=ROOT)
    tokens.adopt("admin", second, Role.ADMIN)
    assert tokens.authenticate(bearer(second)).role is Role.ADMIN
    with pytest.raises(NotAuthenticatedError):
        tokens.authenticate(bearer(first))


@pytest.mark.parametrize("token", ["", "admin", "mp_short", "mp_" + "a" * 44, "xx_" + "a" * 43])
def test_only_a_token_of_ours_is_adopted(tokens: Tokens, token: str) -> None:
    with pytest.raises(InvalidInputError, match="token"):
        tokens.adopt("admin", token, Role.ADMIN)


def test_tokens_are_listed_by_name_with_what_they_are_worth(tokens: Tokens) -> None:
    tokens.create("b", Role.VIEWER, by=ROOT)
    tokens.create("a", Role.ADMIN, by=ROOT, expires_in=timedelta(days=1))
    tokens.revoke("b", by=ROOT)
    first, second = tokens.list()
    assert (first.name, first.role, first.valid) == ("a", Role.ADMIN, True)
    assert first.expires_at is not None
    assert first.expires_at - first.created_at == timedelta(days=1)
    assert (second.name, second.valid, second.revoked_at is None) == ("b", False, False)
