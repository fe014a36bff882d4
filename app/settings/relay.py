"""The group `relay`: how alerts and events reach people in Slack."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from app.settings.groups import Group, Seconds

#: A user, a group of users, or a word that Slack turns into a mention of many.
_MENTION = re.compile(r"^(?:[UW][A-Z0-9]{2,20}|S[A-Z0-9]{2,20}|here|channel)$")


class RelaySettings(Group):
    """The relay; the first two fields are read by the processes that tell it something, too."""

    url: str | None = None
    """Where the relay is. Without it, the pipeline sends no direct events, and alerts come from Prometheus alone."""
    events_secret: SecretStr | None = None
    """Signs direct events and the links in messages; `whsec_` and 24 bytes or more in base64."""
    alertmanager_token: SecretStr | None = None
    """The bearer token that Alertmanager shows; 32 characters or more."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8200
    """Port to listen on."""
    file: Path = Path("var/relay.db")
    """The relay's own database: what it was told, and what it has not sent yet."""
    public_url: str = "http://127.0.0.1:8200"
    """Where people reach the relay: links to silence an alert lead here."""
    web_url: str = "http://127.0.0.1:8000"
    """Where people reach the web process: links to jobs lead there."""
    alertmanager_url: str | None = None
    """Where the relay reaches Alertmanager to silence an alert; without it, messages have no such link."""
    slack_webhook_url: SecretStr | None = None
    """Incoming webhook of the Slack channel. Without it and without a bot token, messages are only logged."""
    slack_webhook_url_info: SecretStr | None = None
    """Another webhook for the severity info."""
    slack_webhook_url_warning: SecretStr | None = None
    """Another webhook for the severity warning."""
    slack_webhook_url_critical: SecretStr | None = None
    """Another webhook for the severity critical."""
    slack_bot_token: SecretStr | None = None
    """Bot token with `chat:write`; then messages are edited when the issue ends, and updates go into their thread."""
    slack_channel: str | None = None
    """Channel id for the bot token."""
    slack_channel_info: str | None = None
    """Another channel for the severity info."""
    slack_channel_warning: str | None = None
    """Another channel for the severity warning."""
    slack_channel_critical: str | None = None
    """Another channel for the severity critical."""
    slack_api_url: str = "https://slack.com/api"
    """Slack's API, for the bot token."""
    slack_timeout_seconds: Seconds = 5.0
    """Time limit of one call to Slack."""
    mentions: tuple[str, ...] = ()
    """Who is mentioned in critical messages: ids of users or groups, `here` or `channel`."""
    window_seconds: Annotated[float, Field(ge=1, le=86_400)] = 300.0
    """At most one message per issue within this time; a rise in severity and a recovery always pass."""
    remind_seconds: Annotated[float, Field(ge=60, le=604_800)] = 14_400.0
    """An issue that goes on is told again after this time."""
    hold_seconds: Annotated[float, Field(ge=0, le=3600)] = 120.0
    """After the pipeline told of a recovery, an alert on the same cause counts only if it still fires then."""
    messages_per_second: Annotated[float, Field(gt=0, le=10)] = 1.0
    """Slack allows about one message a second and channel."""
    digest_above: Annotated[int, Field(ge=2, le=100)] = 5
    """When more messages than this wait for one channel, they become one digest."""
    watchdog_seconds: Annotated[float, Field(ge=2, le=86_400)] = 180.0
    """Monitoring is blind when Watchdog has not come for so long."""
    max_body_bytes: Annotated[int, Field(ge=1024, le=50_000_000)] = 4_000_000
    """Largest body that is read."""
    event_tolerance_seconds: Annotated[float, Field(ge=1, le=3600)] = 300.0
    """A direct event whose time is further away than this is refused."""
    second_url: SecretStr | None = None
    """Generic webhook that is told, as JSON, when Slack cannot be reached."""

    @field_validator("url", "public_url", "web_url", "alertmanager_url", "slack_api_url")
    @classmethod
    def _is_web(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value if value is None else value.rstrip("/")

    @field_validator("mentions")
    @classmethod
    def _can_be_mentioned(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not _MENTION.match(mention) for mention in value):
            raise ValueError("each must be the id of a user (U...) or of a group (S...), here or channel")
        return value
