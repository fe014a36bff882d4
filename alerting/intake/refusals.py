"""Refusals: how the relay says no. Each one is a problem document (RFC 9457), one line in the log, and counted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from http import HTTPStatus

import structlog

from app.domain.errors import InvalidInputError
from app.domain.plain_text import excerpt
from app.live_metrics import LiveMetrics
from app.metrics import RELAY_REFUSED

_log = structlog.stdlib.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

#: Faults that one document lists, and characters of each.
_MOST_FAULTS = 20
_LONGEST = 200


class Reason(StrEnum):
    """Why a request was refused; a label of `app.metrics.RELAY_REFUSED`."""

    TOKEN = "token"  # noqa: S105 -- a label
    SIGNATURE = "signature"
    TIMESTAMP = "timestamp"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    UNAVAILABLE = "unavailable"


_STATUS = {
    Reason.TOKEN: HTTPStatus.UNAUTHORIZED,
    Reason.SIGNATURE: HTTPStatus.UNAUTHORIZED,
    Reason.TIMESTAMP: HTTPStatus.UNAUTHORIZED,
    Reason.MALFORMED: HTTPStatus.BAD_REQUEST,
    Reason.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Reason.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}

Answer = tuple[str, HTTPStatus, dict[str, str]]


def refuse(
    metrics: LiveMetrics, reason: Reason, detail: str, *, path: str, faults: Sequence[InvalidInputError] = ()
) -> Answer:
    """Log and count a refusal; return its body, status and headers."""
    status = _STATUS[reason]
    metrics.count(RELAY_REFUSED, reason=reason)
    _log.warning("relay_refused", reason=reason.value, status=status.value, path=path, detail=excerpt(detail, _LONGEST))
    headers = {"Content-Type": MEDIA_TYPE}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "1"
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="relay"' if reason is Reason.TOKEN else "Signature"
    return problem(status, detail, code=reason.value, faults=faults), status, headers


def problem(status: HTTPStatus, detail: str, *, code: str, faults: Sequence[InvalidInputError] = ()) -> str:
    """Return a problem document."""
    return json.dumps(
        {
            "type": "about:blank",
            "title": status.phrase,
            "status": status.value,
            "detail": excerpt(detail, _LONGEST),
            "code": code,
            "errors": [
                {"field": excerpt(fault.field, _LONGEST), "message": excerpt(fault.message, _LONGEST)}
                for fault in faults[:_MOST_FAULTS]
            ],
        }
    )
