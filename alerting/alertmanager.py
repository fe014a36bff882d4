"""The configuration of Alertmanager: everything goes to the relay, which decides what a person gets to see.

What is wrong with the relay itself goes a second way too, past it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from alerting.inhibitions import INHIBITIONS, Inhibition
from app.domain.alerts import RELAY_BACKLOG, RELAY_DEGRADED, TARGET_DOWN, WATCHDOG, Alert
from app.domain.observers import RELAY_JOB
from app.rule_files import yaml_document
from app.settings.monitoring import MonitoringSettings

#: Where the relay of one machine listens.
RELAY_URL = "http://127.0.0.1:8200/alerts"

#: Name of the receiver of everything.
RECEIVER = "relay"
#: Name of the receiver of what is wrong with the relay.
SECOND_RECEIVER = "second"


def alertmanager_file(
    relay_url: str | None = RELAY_URL,
    token_file: Path | None = None,
    settings: MonitoringSettings | None = None,
) -> str:
    """Return the text of `alertmanager_config` as Alertmanager reads it."""
    return yaml_document(alertmanager_config(relay_url, token_file, settings))


def alertmanager_config(
    relay_url: str | None = RELAY_URL,
    token_file: Path | None = None,
    settings: MonitoringSettings | None = None,
    *,
    second_webhook_file: Path | None = None,
) -> Mapping[str, Any]:
    """Return the configuration; the relay gets every alert, and its end, within a second or two.

    Alertmanager shows the relay the token in `token_file`, a path on Alertmanager's own machine. Where there is no
    relay, alerts stay in Alertmanager, which tells them to whoever asks. The second way leads to what `settings` names,
    and to nothing when they name nothing. The address of its webhook may be in a file on Alertmanager's machine
    instead, which Alertmanager reads from 0.26 on.
    """
    return {
        "route": {
            "receiver": RECEIVER,
            "group_by": ["environment", "alertname"],
            # The relay groups and limits what people see; what waits here only comes late.
            "group_wait": "0s",
            "group_interval": "1s",
            "repeat_interval": "5m",
            "routes": [
                {
                    "receiver": RECEIVER,
                    "matchers": [_named([WATCHDOG])],
                    "group_interval": "30s",
                    "repeat_interval": "1m",
                },
                *(
                    {
                        "receiver": SECOND_RECEIVER,
                        "matchers": matchers,
                        # A person reads this, and no relay thins it out.
                        "group_interval": "1m",
                        "repeat_interval": "4h",
                        "continue": True,
                    }
                    for matchers in (
                        [_named([RELAY_DEGRADED, RELAY_BACKLOG])],
                        [_named([TARGET_DOWN]), f'job="{RELAY_JOB}"'],
                    )
                ),
                # Whatever a route before has let go on: with `continue`, the root does not get it.
                {"receiver": RECEIVER},
            ],
        },
        "inhibit_rules": [_inhibit_rule(inhibition) for inhibition in INHIBITIONS],
        "receivers": [
            {"name": RECEIVER, "webhook_configs": [_relay(relay_url, token_file)] if relay_url else []},
            {"name": SECOND_RECEIVER, **_second(settings or MonitoringSettings(), second_webhook_file)},
        ],
    }


def _relay(url: str, token_file: Path | None) -> Mapping[str, Any]:
    shown: Mapping[str, Any] = (
        {"http_config": {"authorization": {"type": "Bearer", "credentials_file": str(token_file)}}}
        if token_file is not None
        else {}
    )
    return {"url": url, "send_resolved": True, "max_alerts": 0, **shown}


def _second(settings: MonitoringSettings, webhook_file: Path | None) -> Mapping[str, Any]:
    ways: dict[str, Any] = {}
    if webhook_file is not None:
        ways["webhook_configs"] = [{"url_file": str(webhook_file), "send_resolved": True}]
    if settings.second_webhook_url is not None:
        ways["webhook_configs"] = [{"url": settings.second_webhook_url.get_secret_value(), "send_resolved": True}]
    if settings.email_to is not None:
        ways["email_configs"] = [
            {
                "to": settings.email_to,
                "from": settings.email_from,
                "smarthost": settings.email_smarthost,
                "require_tls": settings.email_tls,
                "send_resolved": True,
            }
        ]
    return ways


def _inhibit_rule(inhibition: Inhibition) -> Mapping[str, Any]:
    return {
        "source_matchers": [_named([inhibition.source]), *inhibition.where],
        "target_matchers": [_named(inhibition.targets)],
        "equal": ["environment"],
    }


def _named(alerts: Iterable[Alert]) -> str:
    names = [alert.name for alert in alerts]
    return f'alertname="{names[0]}"' if len(names) == 1 else f'alertname=~"{"|".join(names)}"'
