"""What the relay asks of Alertmanager: https://github.com/prometheus/alertmanager, api/v2/openapi.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import requests

from app.domain.errors import NetworkError

_TIMEOUT_SECONDS = 5


def create_silence(url: str, matchers: Mapping[str, str], *, begins_at: float, ends_at: float, comment: str) -> str:
    """Silence the alerts that have exactly these labels; return the id of the silence.

    Args:
        url: Root of Alertmanager.
        matchers: Names and values of labels; an empty value means that an alert does not have the label.
        begins_at: Seconds since 1970.
        ends_at: The same.
        comment: Why; people see it.

    Raises:
        NetworkError: Alertmanager did not answer, or refused.
    """
    silence = {
        "matchers": [
            {"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in matchers.items()
        ],
        "startsAt": _time(begins_at),
        "endsAt": _time(ends_at),
        "createdBy": "slack link",
        "comment": comment,
    }
    try:
        answer = requests.post(f"{url}/api/v2/silences", json=silence, timeout=_TIMEOUT_SECONDS, allow_redirects=False)
        answer.raise_for_status()
        return str(answer.json()["silenceID"])
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        raise NetworkError(f"Alertmanager made no silence: {type(error).__name__}") from error


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
