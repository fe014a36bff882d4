"""API tokens: 32 random bytes, shown once, kept as a SHA-256.

A slow hash would add nothing: nobody guesses 256 random bits, and every request pays for the check.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import timedelta

from app.domain.errors import InvalidInputError, NotAuthenticatedError, NotFoundError
from app.domain.roles import Actor, Role
from app.domain.token_form import TOKEN_FORM, TOKEN_PREFIX, is_token
from app.storage import tokens as storage
from app.storage.audit import record_audit
from app.storage.database import Database
from app.storage.tokens import StoredToken

#: Whose name stands in the audit log when a token came from a setting.
BY_SETTING = "bootstrap"

_BEARER = re.compile(r"Bearer ([\x21-\x7e]+)", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")
_LONGEST_LIFE = timedelta(days=3660)


def new_token() -> str:
    """Return a fresh token, known to nobody yet."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


class Tokens:
    """The API's tokens; safe to use from many threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, role: Role, *, by: Actor, expires_in: timedelta | None = None) -> str:
        """Create a token and return it: the only time that it can be seen.

        Raises:
            InvalidInputError: The name or the lifetime is not one that a token can have.
            ConflictError: There is a token of this name.
        """
        _check_name(name)
        if expires_in is not None and not timedelta(0) < expires_in <= _LONGEST_LIFE:
            raise InvalidInputError("expiresIn", f"must be more than nothing and at most {_LONGEST_LIFE.days} days")
        token = new_token()
        with self._database.write() as connection:
            storage.insert_token(
                self._database,
                connection,
                name=name,
                token_hash=_hash(token),
                role=role,
                expires_in_seconds=None if expires_in is None else expires_in.total_seconds(),
            )
            record_audit(
                connection,
                actor=by.name,
                action="token.create",
                target_type="token",
                target_id=name,
                details={"role": role},
            )
        return token

    def adopt(self, name: str, token: str, role: Role) -> None:
        """Make a token that the caller keeps valid under this name, without an end; doing so again changes nothing.

        For the local stack, whose supervisor keeps the admin token in a file.

        Raises:
            InvalidInputError: It is no token of ours.
        """
        _check_name(name)
        _check_token(token)
        with self._database.write() as connection:
            storage.upsert_token(self._database, connection, name=name, token_hash=_hash(token), role=role)

    def keep(self, name: str, token: str, role: Role) -> bool:
        """Make a token that a setting gives valid under this name, unless it was so before; True when it was made.

        One that was revoked or has ended stays so, for as long as the setting gives the same text; another text takes
        its place. Any number of processes may do this at once.

        Raises:
            InvalidInputError: It is no token of ours.
            ConflictError: It is the token of another name.
        """
        _check_name(name)
        _check_token(token)
        with self._database.write() as connection:
            kept = storage.replace_token(self._database, connection, name=name, token_hash=_hash(token), role=role)
            if kept:
                record_audit(
                    connection,
                    actor=BY_SETTING,
                    action="token.create",
                    target_type="token",
                    target_id=name,
                    details={"role": role},
                )
        return kept

    def authenticate(self, authorization: str | None) -> Actor:
        """Return who sent this `Authorization` header.

        Raises:
            NotAuthenticatedError: It names no valid token.
        """
        if authorization is None:
            raise NotAuthenticatedError("this call needs the header Authorization: Bearer <token>")
        bearer = _BEARER.fullmatch(authorization)
        if bearer and is_token(bearer[1]):
            token_hash = _hash(bearer[1])
            with self._database.read() as connection:
                stored = storage.token_by_hash(connection, token_hash)
            if stored and hmac.compare_digest(stored.token_hash, token_hash) and stored.valid:
                return stored.actor
        raise NotAuthenticatedError("the token is unknown, expired or revoked")

    def revoke(self, name: str, *, by: Actor) -> None:
        """Make a token worthless, at once and for good.

        Raises:
            NotFoundError: There is no token of this name that could be revoked.
        """
        with self._database.write() as connection:
            if not storage.revoke_token(connection, name):
                raise NotFoundError(f"there is no token named {name!r} that is not revoked already")
            record_audit(connection, actor=by.name, action="token.revoke", target_type="token", target_id=name)

    def list(self) -> Sequence[StoredToken]:
        """Return every token, by name."""
        with self._database.read() as connection:
            return storage.all_tokens(connection)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("ascii")).hexdigest()


def _check_token(token: str) -> None:
    if not is_token(token):
        raise InvalidInputError("token", f"must be {TOKEN_FORM}")


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidInputError("name", "must be 1 to 100 letters, digits or . _ @ -, and begin with a letter or digit")
