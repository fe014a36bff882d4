"""The configuration of Alertmanager: everything goes to the relay, which decides what a person gets to see."""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.alerts import (
    ALL_CIRCUITS_OPEN,
    CIRCUIT_OPENED,
    DATABASE_DOWN,
    METRICS_ABSENT,
    NO_WORKERS,
    QUEUE_BACKED_UP,
    QUEUE_DRAINS_SLOWLY,
    QUEUE_STALLED,
    REDIS_DOWN,
    SYNC_FALLBACK_ACTIVE,
    TARGET_DOWN,
    WATCHDOG,
    WORKERS_SATURATED,
    Alert,
)
from app.rule_files import yaml_document

#: Where the relay of one machine listens.
RELAY_URL = "http://127.0.0.1:8200/alerts"

#: Name of the only receiver.
RECEIVER = "relay"

_QUEUES = (QUEUE_BACKED_UP, QUEUE_DRAINS_SLOWLY, QUEUE_STALLED, NO_WORKERS, WORKERS_SATURATED)

#: While the first one fires, the others of the same environment are consequences of it and are not sent.
INHIBITIONS: tuple[tuple[Alert, tuple[Alert, ...]], ...] = (
    # Levels are read by the web process: without it they are absent, whatever Redis and the queues do.
    (TARGET_DOWN, (REDIS_DOWN, METRICS_ABSENT, *_QUEUES)),
    (DATABASE_DOWN, (METRICS_ABSENT, *_QUEUES)),
    (REDIS_DOWN, _QUEUES),
    (SYNC_FALLBACK_ACTIVE, _QUEUES),
    (ALL_CIRCUITS_OPEN, (CIRCUIT_OPENED,)),
)


def alertmanager_file(relay_url: str | None = RELAY_URL) -> str:
    """Return the text of the configuration; the relay gets every alert, and its end, within a second or two.

    Where there is no relay, alerts stay in Alertmanager, which tells them to whoever asks.
    """
    webhooks = [{"url": relay_url, "send_resolved": True, "max_alerts": 0}] if relay_url else []
    return yaml_document(
        {
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
                    }
                ],
            },
            "inhibit_rules": [
                {
                    "source_matchers": [_named([source])],
                    "target_matchers": [_named(targets)],
                    "equal": ["environment"],
                }
                for source, targets in INHIBITIONS
            ],
            "receivers": [{"name": RECEIVER, "webhook_configs": webhooks}],
        }
    )


def _named(alerts: Iterable[Alert]) -> str:
    names = [alert.name for alert in alerts]
    return f'alertname="{names[0]}"' if len(names) == 1 else f'alertname=~"{"|".join(names)}"'
