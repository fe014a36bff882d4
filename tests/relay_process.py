"""A real relay process for the tests, and what Alertmanager and the pipeline send to it."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import sqlite3
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
from standardwebhooks.webhooks import Webhook

from tests.servers import end, free_port, wait_until
from tests.web_process import MARKETPLACE

EVENTS_SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
TOKEN = secrets.token_hex(20)
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


class RelayProcess:
    """`marketplace relay` on a free port, with its file in the directory, which outlives it.

    `variables` are settings of its group; one that is None is left out.
    """

    def __init__(self, directory: Path, **variables: str | None) -> None:
        self.file = directory / "relay.db"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = directory / "relay.log"
        given = {
            "events_secret": EVENTS_SECRET,
            "alertmanager_token": TOKEN,
            "file": str(self.file),
            "port": str(self.port),
            **variables,
        }
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MARKETPLACE_")},
            **{f"MARKETPLACE_RELAY__{name.upper()}": value for name, value in given.items() if value is not None},
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it accepts."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(MARKETPLACE), "relay"], env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(self._is_ready, seconds=30, what="the relay")

    def kill(self) -> None:
        """End it with SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it with SIGTERM; return its exit code."""
        assert self.process is not None
        end(self.process)
        return self.process.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to it."""
        assert self.process is not None
        self.process.send_signal(number)

    def log(self) -> list[dict[str, Any]]:
        """Return what it logged."""
        return [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]

    def cards(self) -> list[dict[str, Any]]:
        """Return the cards in its outbox, the oldest first."""
        with closing(sqlite3.connect(self.file, timeout=10)) as connection:
            return [json.loads(card) for (card,) in connection.execute("SELECT card FROM messages ORDER BY id")]

    def waiting(self) -> int:
        """Return how many messages wait."""
        with closing(sqlite3.connect(self.file, timeout=10)) as connection:
            (count,) = connection.execute("SELECT count(*) FROM messages WHERE state = 'waiting'").fetchone()
        return int(count)

    def metric(self, name: str, **labels: str) -> float:
        """Return the value of a sample."""
        inner = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
        line = f"{name}{{{inner}}}" if inner else name
        text = requests.get(f"{self.url}/metrics", timeout=10).text
        return next(float(found.split()[-1]) for found in text.splitlines() if found.startswith(f"{line} "))

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self._log.read_text()
        try:
            return requests.get(f"{self.url}/health/ready", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False


@contextmanager
def running_relay(directory: Path, **variables: str | None) -> Iterator[RelayProcess]:
    """Yield a relay that runs; it is ended by its own process id."""
    relay = RelayProcess(directory, **variables)
    try:
        relay.start()
        yield relay
    finally:
        if relay.process is not None:
            end(relay.process)


def alert(
    agent: str = "kaway",
    *,
    name: str = "MarketplaceCircuitOpened",
    firing: bool = True,
    started_at: datetime | None = None,
    ended_at: datetime | None = None,
    **more: object,
) -> dict[str, Any]:
    """Return one alert as Alertmanager sends it; `more` replaces its fields."""
    started_at = started_at or datetime.now(UTC)
    return {
        "status": "firing" if firing else "resolved",
        "labels": {
            "alertname": name,
            "agent": agent,
            "environment": "local",
            "severity": "warning",
            "type": "circuit_opened",
        },
        "annotations": {
            "summary": f"{agent} is not called",
            "description": "Its circuit is open.",
            "runbook_url": f"http://127.0.0.1:8000/runbooks/{name}",
            "dashboard_url": "http://127.0.0.1:3000/d/marketplace-agents-and-breakers?from=now-1h&to=now",
        },
        "startsAt": started_at.isoformat(),
        "endsAt": "0001-01-01T00:00:00Z" if firing else (ended_at or datetime.now(UTC)).isoformat(),
        "generatorURL": "http://127.0.0.1:9090/graph",
        "fingerprint": f"{hash((name, agent)) & 0xFFFFFFFFFFFFFFFF:016x}",
        **more,
    }


def webhook(*alerts: object) -> bytes:
    """Return the body of one request of Alertmanager."""
    return json.dumps({"version": "4", "status": "firing", "receiver": "relay", "alerts": list(alerts)}).encode()


def notice(agent: str = "kaway", *, state: str = "firing", **more: object) -> dict[str, Any]:
    """Return one notice as the pipeline sends it; `more` replaces its fields."""
    return {
        "id": str(uuid.uuid4()),
        "alert": "MarketplaceCircuitOpened",
        "state": state,
        "at": datetime.now(UTC).isoformat(),
        "environment": "local",
        "subject": {"agent": agent},
        "summary": f"The circuit of {agent} is open",
        "agent": agent,
        "action": "Its last good answer is used.",
        **more,
    }


def event(
    data: Mapping[str, Any], *, secret: str = EVENTS_SECRET, sent_at: datetime | None = None
) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of a signed event."""
    sent_at = sent_at or datetime.now(UTC)
    body = json.dumps({"type": "notice", "timestamp": sent_at.isoformat(), "data": data})
    return body.encode(), {
        "webhook-id": str(data["id"]),
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": Webhook(secret).sign(str(data["id"]), sent_at, body),
    }


def post_alerts(url: str, alerts: Sequence[object]) -> requests.Response:
    """Send alerts as Alertmanager does."""
    return requests.post(f"{url}/alerts", data=webhook(*alerts), headers=AUTHORIZED, timeout=10)


def post_event(url: str, data: Mapping[str, Any], **options: Any) -> requests.Response:
    """Send a notice as the pipeline does."""
    body, headers = event(data, **options)
    return requests.post(f"{url}/events", data=body, headers=headers, timeout=10)
