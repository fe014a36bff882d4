"""Identifiers in the one form that we write: UUIDs, lower case, with dashes."""

from __future__ import annotations

import re
from uuid import UUID

from app.domain.errors import InvalidInputError

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def parse_id(field: str, text: str) -> UUID:
    """Read an id; `UUID()` alone also takes braces, URNs and missing dashes.

    Raises:
        InvalidInputError: It is no UUID; the field is `field`.
    """
    if not _ID.fullmatch(text):
        raise InvalidInputError(field, "is not a UUID")
    return UUID(text)
