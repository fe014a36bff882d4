"""Links that silence one alert: signed, so that nobody can write one, and good for one silence.

A link holds everything that it needs; the relay remembers those that were used.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from alerting.signals import Path, Signal
from app.domain.errors import ConflictError, NotAllowedError

#: How long a silence may last, in hours.
HOURS = (1, 4, 24)

#: How long the link of a message is good.
LIFETIME = timedelta(days=1)

#: The key of the links: another one than that of events, although both come from one secret.
_PURPOSE = b"marketplace silence link 1"

#: A process that claimed a link and died gives it back after so many seconds; asking Alertmanager takes 5 s at most.
_CLAIM_SECONDS = 30.0

#: Longer ones are none of ours: no alert has so many labels.
_MOST_CHARACTERS = 8000


class LinkOverError(ConflictError):
    """The link was good once: its time is over, or somebody has used it."""

    code = "link_over"


@dataclass(frozen=True)
class SilenceLink:
    """What a link says."""

    #: SHA-256 of its token: what is remembered of it.
    digest: str
    issue: str
    #: Names and exact values of the labels that an alert must have to be silenced.
    matchers: Mapping[str, str]


def silence_matchers(signal: Signal) -> dict[str, str]:
    """Return the labels that this alert has and no other one, on whichever path it came."""
    return {"alertname": signal.alert, "environment": signal.environment, **signal.subject}


def silence_links(
    public_url: str, secret: str, *, now: Callable[[], float] = time.time
) -> Callable[[Signal], str | None]:
    """Return what makes the link of a signal; what the relay noticed itself has none, for no alert would be silenced.

    `now` tells the time in seconds since 1970.
    """

    def link(signal: Signal) -> str | None:
        if signal.path is Path.OWN:
            return None
        expires_at = datetime.fromtimestamp(now(), UTC) + LIFETIME
        return silence_link(public_url, secret, silence_matchers(signal), issue=signal.issue, expires_at=expires_at)

    return link


def silence_link(public_url: str, secret: str, matchers: Mapping[str, str], *, issue: str, expires_at: datetime) -> str:
    """Return the address of the page that asks whether to silence alerts with these labels.

    Args:
        public_url: Where people reach the relay.
        secret: That of direct events.
        matchers: Names and exact values of labels.
        issue: The issue that the message is about.
        expires_at: The link is good until then, aware; at different times the links are different ones.
    """
    said = {"e": int(expires_at.timestamp() * 1000), "i": issue, "m": dict(matchers)}
    payload = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    return f"{public_url}/silences/{_encoded(payload)}.{_encoded(_signature(secret, payload))}"


def read_token(secret: str, token: str, *, now: float) -> SilenceLink:
    """Return what a token of a link says; `now` is in seconds since 1970.

    Raises:
        NotAllowedError: We have not written it.
        LinkOverError: Its time is over.
    """
    payload, _, signature = token.partition(".")
    try:
        said, given = _decoded(payload), _decoded(signature)
    except ValueError as error:
        raise NotAllowedError("this link is none of ours") from error
    # Of two spellings of one link, which base64 allows, the second one would be good again.
    whole = f"{payload}.{signature}" == f"{_encoded(said)}.{_encoded(given)}"
    if not whole or len(token) > _MOST_CHARACTERS or not hmac.compare_digest(given, _signature(secret, said)):
        raise NotAllowedError("this link is none of ours")
    fields: dict[str, Any] = json.loads(said)
    if fields["e"] <= now * 1000:
        raise LinkOverError("the time of this link is over")
    return SilenceLink(hashlib.sha256(token.encode()).hexdigest(), fields["i"], fields["m"])


def claim(connection: sqlite3.Connection, link: SilenceLink, *, now: float) -> None:
    """Take a link for the caller alone, in its transaction.

    Raises:
        LinkOverError: Somebody has used it, or uses it right now.
    """
    # A link that is over needs no memory.
    over = now - 2 * LIFETIME.total_seconds()
    connection.execute("DELETE FROM silences WHERE claimed_at < ? AND coalesce(ends_at, 0) < ?", (over, now))
    taken = connection.execute(
        "INSERT INTO silences (link, issue, claimed_at) VALUES (?, ?, ?)"
        " ON CONFLICT (link) DO UPDATE SET claimed_at = excluded.claimed_at"
        " WHERE silence IS NULL AND claimed_at <= ?",
        (link.digest, link.issue, now, now - _CLAIM_SECONDS),
    )
    if taken.rowcount != 1:
        raise LinkOverError("this link has been used")


def release(connection: sqlite3.Connection, link: SilenceLink) -> None:
    """Give a link back that was claimed, and that no silence came of."""
    connection.execute("DELETE FROM silences WHERE link = ? AND silence IS NULL", (link.digest,))


def keep(connection: sqlite3.Connection, link: SilenceLink, silence: str, *, ends_at: float) -> None:
    """Remember that a link was used, the id of its silence, and until when that lasts, in seconds since 1970."""
    connection.execute("UPDATE silences SET silence = ?, ends_at = ? WHERE link = ?", (silence, ends_at, link.digest))


def is_used(connection: sqlite3.Connection, link: SilenceLink) -> bool:
    """Whether a silence has come of this link."""
    found = connection.execute("SELECT 1 FROM silences WHERE link = ? AND silence IS NOT NULL", (link.digest,))
    return found.fetchone() is not None


def silenced_until(connection: sqlite3.Connection, issue: str, *, now: float) -> float | None:
    """Return until when an issue is silenced by a link, in seconds since 1970, or None when it is not."""
    (until,) = connection.execute(
        "SELECT max(ends_at) FROM silences WHERE issue = ? AND ends_at > ?", (issue, now)
    ).fetchone()
    return None if until is None else float(until)


def _signature(secret: str, payload: bytes) -> bytes:
    key = hmac.digest(secret.encode(), _PURPOSE, "sha256")
    return hmac.digest(key, payload, "sha256")


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error
