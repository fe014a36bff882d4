"""What an API token looks like, wherever one is made, given or shown."""

from __future__ import annotations

import re

#: Every token begins with it, so that scanners for secrets and people know one when they see it.
TOKEN_PREFIX = "mp_"  # noqa: S105 -- what every one begins with

#: 32 random bytes in URL-safe Base64 without padding, after the prefix.
_TOKEN = re.compile(r"mp_[A-Za-z0-9_-]{43}")

TOKEN_FORM = f"{TOKEN_PREFIX} and 32 random bytes in URL-safe Base64"


def is_token(text: str) -> bool:
    """Tell whether this could be a token of ours."""
    return _TOKEN.fullmatch(text) is not None
