"""User and password of a server, given beside its URL: as secrets come, without percent-encoding."""

from __future__ import annotations

import re
from urllib.parse import quote

#: Credentials among the options of a URL, which libpq and redis-py read too.
_OPTIONS = {"user": re.compile(r"(?:^|&)user(?:name)?="), "password": re.compile(r"(?:^|&)password=")}


def with_credentials(url: str, *, username: str | None = None, password: str | None = None) -> str:
    """Return the URL with this user and password, encoded as a URL needs it.

    Raises:
        ValueError: The URL has a user or a password already, or is that of a file.

    >>> with_credentials("redis://valkey:6379/0", password="p@ss/word")
    'redis://:p%40ss%2Fword@valkey:6379/0'
    >>> with_credentials("postgresql://market@db/market", password="secret")
    'postgresql://market:secret@db/market'
    """
    if username is None and password is None:
        return url
    scheme, mark, rest = url.partition("://")
    if not mark or scheme == "sqlite":
        raise ValueError("a password needs the url of a server")
    before, question, options = rest.partition("?")
    given, _, place = before.rpartition("@")
    if given.startswith("/"):
        # The sign is one of a path: `unix:///run/a@b.sock` names nobody.
        given, place = "", before
    user, colon, secret = given.partition(":")
    if username is not None and (user or _OPTIONS["user"].search(options)):
        raise ValueError("url and username both name a user: leave one of them out")
    if password is not None and (secret or _OPTIONS["password"].search(options)):
        raise ValueError("url and password both have a password: leave one of them out")
    if username is not None:
        user = quote(username, safe="")
    if password is not None:
        colon, secret = ":", quote(password, safe="")
    return f"{scheme}://{user}{colon}{secret}@{place}{question}{options}"
