"""Answers to outbound calls, and the error that each status stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from app.domain.errors import (
    DeadlineExceededError,
    RateLimitedError,
    RemoteAuthError,
    RemoteRejectedError,
    RemoteServerError,
)
from app.domain.plain_text import excerpt

#: Characters of a foreign text in one of our errors.
_EXCERPT = 200

#: Server errors that the same request would meet again: what it asks for is not supported.
_NEVER_SUPPORTED = {HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.HTTP_VERSION_NOT_SUPPORTED}


@dataclass(frozen=True)
class Reply:
    """A complete HTTP answer; `headers` are looked up in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def raise_for_status(reply: Reply, *, secret: str = "") -> None:
    """Raise the error that this status stands for; 2xx passes.

    `secret` is what the request carried: it is cut out of the error's text, should the answer repeat it.

    Raises:
        RemoteAuthError: 401 or 403.
        RateLimitedError: 429 or 425, with what `Retry-After` asks for.
        DeadlineExceededError: 408.
        RemoteServerError: 5xx but for 501 and 505, with what `Retry-After` asks for.
        RemoteRejectedError: Everything else that is not 2xx; redirects are not followed.

    Source: docs/decisions/what-is-retried.md.
    """
    status = reply.status
    if status in range(200, 300):
        return
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        # Without the answer's text: servers like to repeat the key that they refuse.
        raise RemoteAuthError(f"HTTP {status}: our credentials were not accepted")
    message = f"HTTP {status}{_explanation(reply.body, secret)}"
    retry_after = retry_after_seconds(reply.headers.get("Retry-After"), datetime.now(UTC))
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.TOO_EARLY}:
        raise RateLimitedError(message, retry_after)
    if status == HTTPStatus.REQUEST_TIMEOUT:
        raise DeadlineExceededError(message)
    if status in range(500, 600) and status not in _NEVER_SUPPORTED:
        raise RemoteServerError(message, retry_after)
    raise RemoteRejectedError(message)


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` header asks for, >= 0, or None when it says nothing that can be read.

    Source: RFC 9110, section 10.2.3: a number of seconds, or a date.

    >>> retry_after_seconds("120", datetime(2026, 1, 1, tzinfo=UTC))
    120.0
    >>> retry_after_seconds("Thu, 01 Jan 2026 00:00:30 GMT", datetime(2026, 1, 1, tzinfo=UTC))
    30.0
    """
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    # Old dates come without a zone; HTTP knows no other than GMT.
    return max(0.0, ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds())


def _explanation(body: bytes, secret: str) -> str:
    text = body.decode(errors="replace")
    if secret:
        text = text.replace(secret, "***")
    text = excerpt(text, _EXCERPT)
    return f": {text}" if text else ""
