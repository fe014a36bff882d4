"""Direct notices of the pipeline: signed after Standard Webhooks, read as signals.

https://www.standardwebhooks.com
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import SecretStr, ValidationError
from standardwebhooks.webhooks import Webhook

from alerting.intake.bounds import bounded_labels, bounded_line, bounded_text
from alerting.signals import CATALOGUE, Path, Signal, subject_of
from app.domain.alerts import AlertType, Severity
from app.domain.errors import InvalidInputError, MalformedInputError, NotAuthenticatedError
from app.domain.notices import MOST_CHARACTERS, NOTICE_TYPE, Notice, NoticeState

#: Signatures that one request may carry: a sender that changes its secret sends two.
_MOST_SIGNATURES = 5


class OldTimestampError(NotAuthenticatedError):
    """The signature holds, but its time is too far from ours: it may be a replay."""


def verify(headers: Mapping[str, str], body: bytes, secret: SecretStr, *, now: float, tolerance_seconds: float) -> None:
    """Check the signature of a request; `now` is in seconds since 1970.

    The library's own check has a fixed tolerance, and raises other errors on malformed headers.

    Raises:
        NotAuthenticatedError: It is not signed with this secret, or (OldTimestampError) at another time.
    """
    message_id, timestamp, given = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not message_id or not given or not timestamp.isascii() or not timestamp.isdecimal():
        raise NotAuthenticatedError("webhook-id, webhook-timestamp and webhook-signature are needed")
    try:
        sent_at = datetime.fromtimestamp(int(timestamp), UTC)
        expected = Webhook(secret.get_secret_value()).sign(message_id, sent_at, body.decode("utf-8"))
    except (ValueError, OverflowError, OSError):
        raise NotAuthenticatedError("the signature is not valid") from None
    signatures = given.split(" ")[:_MOST_SIGNATURES]
    if not any(hmac.compare_digest(expected.encode(), signature.encode()) for signature in signatures):
        raise NotAuthenticatedError("the signature is not valid")
    if abs(now - int(timestamp)) > tolerance_seconds:
        raise OldTimestampError(f"webhook-timestamp is more than {tolerance_seconds:g} s from the time here")


def read_notice(body: bytes) -> Signal:
    """Return the notice that a signed event carries.

    Raises:
        MalformedInputError: It is no JSON.
        InvalidInputError: It is no notice; the field is named.
    """
    try:
        event = json.loads(body)
    except RecursionError:
        raise MalformedInputError("body", "nests too deeply") from None
    except ValueError as error:
        raise MalformedInputError("body", f"is not JSON ({type(error).__name__})") from None
    if not isinstance(event, dict) or event.get("type") != NOTICE_TYPE:
        raise InvalidInputError("type", f"must be {NOTICE_TYPE}")
    try:
        return notice_signal(Notice.model_validate(event.get("data")))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InvalidInputError(".".join(map(str, ("data", *first["loc"]))), first["msg"]) from None


def notice_signal(notice: Notice) -> Signal:
    """Return what a notice tells."""
    alert = bounded_line(notice.alert)
    entry = CATALOGUE.get(alert)
    labels = bounded_labels(notice.subject)
    return Signal(
        path=Path.PIPELINE,
        id=str(notice.id),
        fingerprint="",
        alert=alert,
        type=entry.type if entry else AlertType.MONITORING,
        severity=entry.severity if entry else Severity.WARNING,
        firing=notice.state is NoticeState.FIRING,
        at=notice.at,
        environment=bounded_line(notice.environment),
        subject=subject_of(alert, labels),
        summary=bounded_line(notice.summary, MOST_CHARACTERS) or alert,
        plan_id=notice.plan_id,
        job_id=notice.job_id,
        agent=None if notice.agent is None else bounded_line(notice.agent),
        error_code=None if notice.error_code is None else bounded_line(notice.error_code),
        error=None if notice.error is None else bounded_text(notice.error),
        action=None if notice.action is None else bounded_text(notice.action),
    )
