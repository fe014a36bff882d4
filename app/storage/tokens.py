"""API tokens: only their SHA-256 is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Row, and_, bindparam, or_, select, update

from app.domain.errors import ConflictError
from app.domain.roles import Actor, Role
from app.storage.clock import now_plus
from app.storage.database import Database
from app.storage.schema import api_tokens


@dataclass(frozen=True)
class StoredToken:
    """A token as the database knows it; `valid` when it is neither expired nor revoked."""

    name: str
    token_hash: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    valid: bool

    @property
    def actor(self) -> Actor:
        """Whoever carries this token."""
        return Actor(self.name, self.role)


def insert_token(
    database: Database,
    connection: Connection,
    *,
    name: str,
    token_hash: str,
    role: Role,
    expires_in_seconds: float | None,
) -> None:
    """Insert a token.

    Raises:
        ConflictError: There is a token of this name.
    """
    inserted = connection.scalar(
        database.insert(api_tokens)
        .values(
            id=uuid4(),
            name=name,
            token_hash=token_hash,
            role=role,
            created_at=now_plus(),
            expires_at=None if expires_in_seconds is None else now_plus(expires_in_seconds),
        )
        .on_conflict_do_nothing(index_elements=[api_tokens.c.name])
        .returning(api_tokens.c.id)
    )
    if inserted is None:
        raise ConflictError(f"there is a token named {name!r}; a revoked one keeps its name")


def upsert_token(database: Database, connection: Connection, *, name: str, token_hash: str, role: Role) -> None:
    """Make the token of this name the given one: valid, without an end."""
    values = _valid(token_hash, role)
    statement = database.insert(api_tokens).values(id=uuid4(), name=name, created_at=now_plus(), **values)
    connection.execute(statement.on_conflict_do_update(index_elements=[api_tokens.c.name], set_=values))


def replace_token(database: Database, connection: Connection, *, name: str, token_hash: str, role: Role) -> bool:
    """Make the token of this name the given one, unless it is that already, valid or not; True when it was not.

    Raises:
        ConflictError: Another name has this token.
    """
    values = {**_valid(token_hash, role), "created_at": now_plus()}
    statement = database.insert(api_tokens).values(id=uuid4(), name=name, **values)
    replaced = connection.scalar(
        statement.on_conflict_do_update(
            index_elements=[api_tokens.c.name], set_=values, where=api_tokens.c.token_hash != token_hash
        ).returning(api_tokens.c.id)
    )
    return replaced is not None


def token_by_hash(connection: Connection, token_hash: str) -> StoredToken | None:
    """Return the token with this hash, valid or not."""
    row = connection.execute(_BY_HASH, {"the_hash": token_hash}).one_or_none()
    return None if row is None else _stored(row)


def revoke_token(connection: Connection, name: str) -> bool:
    """Revoke the token of this name; False when there is none that could be."""
    return (
        connection.execute(
            update(api_tokens)
            .where(api_tokens.c.name == name, api_tokens.c.revoked_at.is_(None))
            .values(revoked_at=now_plus())
        ).rowcount
        == 1
    )


def all_tokens(connection: Connection) -> Sequence[StoredToken]:
    """Return every token, by name."""
    return [_stored(row) for row in connection.execute(_SELECT.order_by(api_tokens.c.name))]


def _valid(token_hash: str, role: Role) -> dict[str, Any]:
    """Return the columns of a token that is valid without an end."""
    return {"token_hash": token_hash, "role": role, "expires_at": None, "revoked_at": None}


_SELECT = select(
    api_tokens,
    and_(
        api_tokens.c.revoked_at.is_(None),
        or_(api_tokens.c.expires_at.is_(None), api_tokens.c.expires_at > now_plus()),
    ).label("valid"),
)

#: Every request runs it, so it is built once.
_BY_HASH = _SELECT.where(api_tokens.c.token_hash == bindparam("the_hash"))


def _stored(row: Row[Any]) -> StoredToken:
    return StoredToken(
        name=row.name,
        token_hash=row.token_hash,
        role=Role(row.role),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        valid=bool(row.valid),
    )
