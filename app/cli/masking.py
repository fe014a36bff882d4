"""Secrets in what commands print: the place stays readable, the credentials do not."""

from __future__ import annotations

import re

from pydantic import SecretStr

MASK = "********"

#: Only what is surely scheme, credentials, host, port and path: anything else could be a password with odd characters.
_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+]*)://(?P<credentials>[^@/?#]*@)?"
    r"(?P<place>(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])?(?::\d+)?(?:/[^@?#]*)?)(?:\?[^@#]*)?"
)


def masked_url(url: str) -> str:
    """Return the URL without credentials and query; all of it masked when it is not surely a plain URL.

    >>> masked_url("postgresql://seller:p4ss@db.example:5432/market?sslpassword=x")
    'postgresql://***@db.example:5432/market'
    >>> masked_url("sqlite:///var/marketplace.db")
    'sqlite:///var/marketplace.db'
    >>> masked_url("redis://:pa/ss@host/0")
    '********'
    """
    match = _URL.fullmatch(url)
    if match is None:
        return MASK
    return f"{match['scheme']}://{'***@' if match['credentials'] else ''}{match['place']}"


def masked(value: object) -> object:
    """Return a setting's value as it may be shown."""
    if not isinstance(value, SecretStr):
        return value
    text = value.get_secret_value()
    return masked_url(text) if "://" in text else MASK
