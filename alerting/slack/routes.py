"""Routes: which messages go to which place in Slack. Severities that share a place share its pace."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import SecretStr

from app.domain.alerts import Severity
from app.settings import RelaySettings

#: Worst first.
SEVERITIES = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)


@dataclass(frozen=True)
class Webhook:
    """An incoming webhook, which is a channel's; its URL is all that is needed to write there."""

    url: SecretStr


@dataclass(frozen=True)
class Channel:
    """A channel that a bot writes to."""

    api_url: str
    token: SecretStr
    channel: str


Destination: TypeAlias = Webhook | Channel


@dataclass(frozen=True)
class Route:
    """The severities of one destination, worst first; without a destination their messages are only logged."""

    destination: Destination | None
    severities: tuple[Severity, ...]

    @property
    def name(self) -> str:
        """How the log calls it; the destination is a secret."""
        return ", ".join(self.severities)

    @property
    def key(self) -> str:
        """How the database calls it: the same until the destination is another one, and no way to it."""
        match self.destination:
            case Webhook(url):
                place = url.get_secret_value()
            case Channel(api_url, _, channel):
                place = f"{api_url} {channel}"
            case _:
                place = ""
        return hashlib.sha256(place.encode()).hexdigest()[:16]


def routes_of(settings: RelaySettings) -> tuple[Route, ...]:
    """Return one route for each destination, and one for the severities that have none."""
    found: dict[Destination | None, list[Severity]] = {}
    for severity in SEVERITIES:
        found.setdefault(_destination(settings, severity), []).append(severity)
    return tuple(Route(destination, tuple(severities)) for destination, severities in found.items())


def _destination(settings: RelaySettings, severity: Severity) -> Destination | None:
    channel = getattr(settings, f"slack_channel_{severity}") or settings.slack_channel
    if settings.slack_bot_token is not None and channel is not None:
        return Channel(settings.slack_api_url, settings.slack_bot_token, channel)
    url = getattr(settings, f"slack_webhook_url_{severity}") or settings.slack_webhook_url
    return None if url is None else Webhook(url)
