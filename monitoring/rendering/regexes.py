"""Regular expressions of the JSON, which may stand between slashes as in JavaScript."""

from __future__ import annotations

import re

from app.domain.errors import InvalidInputError

_SLASHED = re.compile(r"/(.*)/([a-z]*)", re.DOTALL)


def compiled(field: str, text: str) -> re.Pattern[str]:
    """Return an expression; of its flags only `i` matters.

    Raises:
        InvalidInputError: It is none; `field` says where it stands.

    >>> bool(compiled("regex", "/^AMAZON$/i").search("amazon"))
    True
    """
    slashed = _SLASHED.fullmatch(text.strip())
    body, flags = (slashed[1], slashed[2]) if slashed else (text, "")
    try:
        return re.compile(body, re.IGNORECASE if "i" in flags else 0)
    except re.error as error:
        raise InvalidInputError(field, f"{text[:80]!r} is no regular expression ({error})") from None
