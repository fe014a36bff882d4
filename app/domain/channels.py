"""Names of channels. Which channels there are is configuration: a channel is whatever a configured agent serves."""

from __future__ import annotations

import re

#: What a channel's name looks like where people choose it: `amazon`, `tiktok-shop`.
CHANNEL_PATTERN = r"^[a-z0-9][a-z0-9-]{0,62}$"


def channel_name(text: str) -> str:
    """Return a channel as agents write it, in the form that names have.

    >>> channel_name(" TikTok Shop ")
    'tiktok-shop'
    """
    return re.sub(r"[\s_-]+", "-", text.casefold()).strip("-")
