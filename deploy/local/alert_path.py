"""The alert path of a local stack: the relay, and a Slack of our own where the settings name none."""

from __future__ import annotations

import base64
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.shared_metrics import DIRECTORY_VARIABLE
from deploy.local.child import Program
from deploy.local.ports import LOOPBACK, Port
from deploy.local.readiness import http_answers
from deploy.local.run_file import DataDirectory
from deploy.local.secret_file import kept_secret

#: First choice of each port.
RELAY_PORT = 8200
INBOX_PORT = 8201

#: The relay stops as soon as it has written what it was told.
_STOP_SECONDS = 10.0

_SECRET_BYTES = 32


@dataclass(frozen=True)
class AlertPath:
    """The relay on its port; `inbox` is that of the simulated Slack, None when messages go to a real one."""

    relay: Port
    inbox: Port | None
    data: DataDirectory

    @property
    def urls(self) -> dict[str, str]:
        """Where relay and inbox answer, by name."""
        return {name: port.url for name, port in (("relay", self.relay), ("inbox", self.inbox)) if port}

    @property
    def alerts_url(self) -> str:
        """Where the relay takes alerts."""
        return f"{self.relay.url}/alerts"

    def overrides(self, *, web_url: str, alertmanager_url: str | None) -> dict[str, str]:
        """Return the settings of the product that lead from the pipeline to the inbox; secrets are kept in files."""
        prefix = "MARKETPLACE_RELAY__"
        overrides = {
            "URL": self.relay.url,
            "HOST": LOOPBACK,
            "PORT": str(self.relay.number),
            "PUBLIC_URL": self.relay.url,
            "WEB_URL": web_url,
            "FILE": str(self.data.relay),
            "EVENTS_SECRET": kept_secret(self.data.events_secret, new_events_secret),
        }
        if alertmanager_url:
            overrides["ALERTMANAGER_URL"] = alertmanager_url
            # With a token the relay expects an Alertmanager, and tells when none is heard.
            token = kept_secret(self.data.alertmanager_token, lambda: secrets.token_hex(_SECRET_BYTES))
            overrides["ALERTMANAGER_TOKEN"] = token
        if self.inbox:
            # A path like that of a real incoming webhook; the simulated Slack takes any.
            overrides["SLACK_WEBHOOK_URL"] = f"{self.inbox.url}/services/T0LOCAL/B0LOCAL/local"
        return {prefix + name: value for name, value in overrides.items()}

    def programs(self, environment: Mapping[str, str], system: Mapping[str, str]) -> list[Program]:
        """Return the programs; `system` is the environment of those that read no settings."""
        programs = [
            Program(
                "relay",
                (str(Path(sys.executable).with_name("marketplace")), "relay"),
                # It counts alone: what it tells is about no process of the pipeline.
                {name: value for name, value in environment.items() if name != DIRECTORY_VARIABLE},
                is_ready=lambda: http_answers(self.relay.number, "/health/ready"),
                stop_seconds=_STOP_SECONDS,
            )
        ]
        if inbox := self.inbox:
            programs.append(
                Program(
                    "slack",
                    (sys.executable, "-m", "loadtest.fake_slack", "--host", LOOPBACK, "--port", str(inbox.number)),
                    system,
                    is_ready=lambda: http_answers(inbox.number, "/messages"),
                )
            )
        return programs


def new_events_secret() -> str:
    """Return a secret in the form of Standard Webhooks."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode("ascii")
