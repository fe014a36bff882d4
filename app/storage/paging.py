"""Keyset paging: a cursor names the last row of a page, so that new rows never shift the next one."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import BigInteger, Column, Connection, Row, Select, Uuid, literal, tuple_, type_coerce

from app.domain.errors import InvalidInputError

#: Rows on one page, at most.
MAX_LIMIT = 200


@dataclass(frozen=True)
class Cursor:
    """The place of a row: its value in the column that the list is ordered by, and its id."""

    value: int
    row_id: UUID

    def encode(self) -> str:
        """Return 32 characters, safe in a URL."""
        return base64.urlsafe_b64encode(self.value.to_bytes(8, "big", signed=True) + self.row_id.bytes).decode()

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """Read what `encode` wrote.

        Raises:
            InvalidInputError: It is nothing of the kind; the field is `cursor`.
        """
        try:
            raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error):
            raw = b""
        if len(raw) != 24:  # noqa: PLR2004 -- eight bytes of value, sixteen of id
            raise InvalidInputError("cursor", "is not one that this list gave")
        return cls(int.from_bytes(raw[:8], "big", signed=True), UUID(bytes=raw[8:]))


@dataclass(frozen=True)
class PageRequest:
    """Which page is wanted: up to `limit` (1 to `MAX_LIMIT`) rows after the cursor, or the first ones."""

    limit: int
    after: Cursor | None = None


@dataclass(frozen=True)
class Page:
    """Rows, and the cursor of the next page, None on the last one."""

    rows: Sequence[Row[Any]]
    next_cursor: str | None


def fetch_page(
    connection: Connection,
    statement: Select[Any],
    request: PageRequest,
    *,
    by: Column[Any],
    row_id: Column[UUID],
    order: Literal["newest_first", "first_to_last"] = "newest_first",
) -> Page:
    """Run the statement for one page, ordered by an integer or time column and the id; it selects both."""
    key = type_coerce(by, BigInteger)
    if request.after is not None:
        place = tuple_(literal(request.after.value, BigInteger), literal(request.after.row_id, Uuid))
        here = tuple_(key, row_id)
        statement = statement.where(here < place if order == "newest_first" else here > place)
    columns = (by.desc(), row_id.desc()) if order == "newest_first" else (by.asc(), row_id.asc())
    statement = statement.add_columns(key.label("page_key"), row_id.label("page_id"))
    rows = connection.execute(statement.order_by(*columns).limit(request.limit + 1)).all()
    page = rows[: request.limit]
    more = len(rows) > request.limit
    return Page(page, Cursor(page[-1].page_key, page[-1].page_id).encode() if more else None)
