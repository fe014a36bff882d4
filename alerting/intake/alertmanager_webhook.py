"""Alertmanager's webhook, version 4, read as signals.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from alerting.intake.bounds import bounded_labels, bounded_line, bounded_text
from alerting.signals import CATALOGUE, Path, Signal, subject_of
from app.domain.alerts import WATCHDOG, AlertType, Severity
from app.domain.errors import InvalidInputError, MalformedInputError

#: Alertmanager's fingerprints are 16 characters long.
_LONGEST_FINGERPRINT = 64

#: Go writes the time that was never set like this.
_NO_TIME = "0001-01-01T00:00:00Z"

_NAMELESS = "Unnamed"

_Kind = TypeVar("_Kind", bound=StrEnum)


@dataclass(frozen=True)
class Webhook:
    """What one request tells."""

    signals: list[Signal]
    #: Whether Watchdog fires; it says that alerts arrive, and is no issue.
    has_watchdog: bool
    #: What is wrong with alerts that cannot be understood; the others count all the same.
    faults: list[InvalidInputError]


def read_webhook(body: bytes, *, environment: str, now: datetime) -> Webhook:
    """Return what a request tells; alerts without the label `environment` are of the given one.

    Raises:
        MalformedInputError: It is no JSON.
        InvalidInputError: It is not what Alertmanager sends.
    """
    alerts = _alerts(body)
    signals, faults, has_watchdog = [], [], False
    for index, alert in enumerate(alerts):
        try:
            signal = _signal(alert, f"alerts.{index}", environment, now)
        except InvalidInputError as error:
            faults.append(error)
            continue
        if signal.alert != WATCHDOG.name:
            signals.append(signal)
        elif signal.firing:
            has_watchdog = True
    return Webhook(signals, has_watchdog, faults)


def _alerts(body: bytes) -> list[Any]:
    try:
        # Labels may hold what an agent sent: bytes that are no UTF-8 must not keep an alert from being read.
        document = json.loads(body.decode("utf-8", "replace"))
    except RecursionError:
        raise MalformedInputError("body", "nests too deeply") from None
    except ValueError as error:
        raise MalformedInputError("body", f"is not JSON ({type(error).__name__})") from None
    if not isinstance(document, dict):
        raise InvalidInputError("body", "must be an object")
    alerts = document.get("alerts")
    if not isinstance(alerts, list):
        raise InvalidInputError("alerts", "must be a list")
    return alerts


def _signal(alert: object, place: str, environment: str, now: datetime) -> Signal:
    if not isinstance(alert, dict):
        raise InvalidInputError(place, "must be an object")
    firing = _is_firing(alert, place)
    raw = _texts(alert.get("labels"), f"{place}.labels")
    labels = bounded_labels(raw)
    notes = _texts(alert.get("annotations"), f"{place}.annotations")
    name = labels.get("alertname") or _NAMELESS
    entry = CATALOGUE.get(name)
    fingerprint = _fingerprint(alert, raw)
    started_at = _time(alert, "startsAt", place) or now
    at = started_at if firing else _time(alert, "endsAt", place) or now
    return Signal(
        path=Path.ALERTMANAGER,
        id=f"{fingerprint}/{started_at.isoformat()}",
        fingerprint=fingerprint,
        alert=name,
        type=_one_of(AlertType, labels.get("type")) or (entry.type if entry else AlertType.MONITORING),
        severity=_one_of(Severity, labels.get("severity")) or (entry.severity if entry else Severity.WARNING),
        firing=firing,
        at=at,
        environment=labels.get("environment") or environment,
        subject=subject_of(name, labels),
        summary=bounded_line(notes.get("summary", "")) or name,
        description=bounded_text(notes.get("description", "")),
        runbook_url=notes.get("runbook_url"),
        dashboard_url=notes.get("dashboard_url"),
        agent=labels.get("agent"),
        labels=labels,
    )


def _is_firing(alert: Mapping[str, Any], place: str) -> bool:
    status = alert.get("status")
    if status not in ("firing", "resolved"):
        raise InvalidInputError(f"{place}.status", "must be firing or resolved")
    return bool(status == "firing")


def _texts(value: object, place: str) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInputError(place, "must be an object")
    return {name: text if isinstance(text, str) else json.dumps(text) for name, text in value.items()}


def _time(alert: Mapping[str, Any], field: str, place: str) -> datetime | None:
    value = alert.get(field)
    if value is None or value == _NO_TIME:
        return None
    try:
        time = datetime.fromisoformat(value)
        if time.tzinfo is None:
            time = time.replace(tzinfo=UTC)
        # Times near the ends of the calendar cannot be told in another zone.
        return time.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInputError(f"{place}.{field}", "must be a time of RFC 3339") from None


def _fingerprint(alert: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    given = alert.get("fingerprint")
    if isinstance(given, str) and 0 < len(given) <= _LONGEST_FINGERPRINT:
        return bounded_line(given)
    return hashlib.sha256(repr(sorted(labels.items())).encode("utf-8", "replace")).hexdigest()[:16]


def _one_of(kind: type[_Kind], value: str | None) -> _Kind | None:
    return next((member for member in kind if member == value), None)
