"""What goes wrong on an observed stack, and how soon Slack tells of it: once, and with what a person needs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import requests

from app.domain.alerts import CIRCUIT_OPENED, QUEUE_BACKED_UP
from app.domain.dashboards import Dashboard
from app.settings import MonitoringSettings
from deploy.local import story_plans
from deploy.local.agents_program import CHANNELS
from deploy.local.simulations import SimulatedAgents, SlackInbox
from tests.servers import wait_until
from tests.stacks import RunningStack, approve, import_plan

#: More than anything here takes on a busy machine.
PATIENCE_SECONDS = 90.0

#: Every job takes an agent this long, and there are so many that a queue holds too many of them for a minute and more.
_SLOW_MILLISECONDS = 4000
_PLANS = 240

#: A dashboard, its environment, and the time of the issue in milliseconds.
_GRAFANA = re.compile(
    r"^/d/(?P<uid>[a-z-]+)\?var-environment=[a-z0-9._-]+&from=(?P<from>\d{13})&to=(?P<to>\d{13}|now)$"
)


@dataclass(frozen=True)
class Told:
    """One fault and its message."""

    what: str
    #: The way by which the message's cause reached the relay first.
    way: str
    #: From what happened to the message in Slack.
    seconds: float
    #: What is in the message, and in no other.
    words: tuple[str, ...]


class AlertPath:
    """One stack with `--observe` and short waits before alerts; the faults build on each other."""

    def __init__(self, stack: RunningStack) -> None:
        urls = stack.facts["urls"]
        self._api = stack.api
        self._agents = SimulatedAgents(urls["agents"])
        self._alertmanager = urls["alertmanager"]
        self.inbox = SlackInbox(urls["inbox"])

    def circuit_opens(self) -> Told:
        """Let an agent die; the message comes directly, and the alert of Prometheus adds none."""
        self._agents.behave("kaway", mode="dead")
        while self._circuit()["state"] != "open":
            self._ask("kaway")
        opened_at = self._circuit()["history"][0]["at"]
        message = self.message("circuit_opened", "kaway")
        self._alert_is_known(CIRCUIT_OPENED.name, "kaway")
        return Told("a dead agent", "pipeline", _seconds(opened_at, message), ("circuit_opened", "kaway"))

    def circuit_closes(self) -> Told:
        """Heal the agent."""
        self._agents.behave("kaway", mode="healthy")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._circuit()["state"] != "closed" and time.monotonic() < deadline:
            self._ask("kaway")
        closed_at = self._circuit()["history"][0]["at"]
        message = self.message("recovery_success", "kaway")
        self._alert_is_known(CIRCUIT_OPENED.name, "kaway", ended=True)
        return Told("it heals", "pipeline", _seconds(closed_at, message), ("recovery_success", "kaway"))

    def job_fails(self) -> Told:
        """Let an analysis end as a dead letter; its message holds plan, job, error and what was done."""
        self._agents.behave("shein", mode="malformed", variant="no_json")
        asked = self._api.post("analysis", {"title": "Growth in autumn", "channels": ["shein"]})
        self._ended(asked["jobId"])
        letter = self._api.get(f"dead-letters/{asked['jobId']}")
        words = ("job_failed", asked["planId"], asked["jobId"], letter["reason"])
        message = self.message(*words)
        return Told("a failed job", "pipeline", _seconds(letter["archivedAt"], message), words)

    def queue_backs_up(self) -> Told:
        """Let every agent be slow and approve more plans than a queue may hold: Prometheus tells of it alone."""
        for channel in CHANNELS:
            self._agents.behave(channel, mode="slow", latencyMs=_SLOW_MILLISECONDS)
        plans = [
            import_plan(self._api, f"Plan {n}", CHANNELS[n % len(CHANNELS)], story_plans.WITHOUT_PHASE_1)
            for n in range(_PLANS)
        ]
        jobs = [approve(self._api, plan) for plan in plans]
        approved_at = datetime.now(UTC).isoformat()
        # Its end names the same alert and queue.
        words = ("Warning: ", QUEUE_BACKED_UP.name, "phase1-tasks")
        told = Told("a queue backed up", "prometheus", _seconds(approved_at, self.message(*words)), words)
        for channel in CHANNELS:
            self._agents.behave(channel, mode="healthy")
        for job_id in jobs:
            self._ended(job_id)
        return told

    def message(self, *words: str) -> dict[str, Any]:
        """Return the first message with these words, once it is there."""
        found = wait_until(
            lambda: self.inbox.messages(*words), seconds=PATIENCE_SECONDS, what=f"a message on {', '.join(words)}"
        )
        first: dict[str, Any] = found[0]
        return first

    def count(self, told: Told) -> int:
        """Return how many messages there are about a fault."""
        return len(self.inbox.messages(*told.words))

    def links(self) -> list[str]:
        """Return every link of every message."""
        return sorted({link for message in self.inbox.messages() for link in _links(message["blocks"])})

    def _alert_is_known(self, alert: str, subject: str, *, ended: bool = False) -> None:
        """Wait until Alertmanager has the alert, or has it no more; the relay is told within a second of that."""
        wait_until(
            lambda: self._is_active(alert, subject) is not ended,
            seconds=PATIENCE_SECONDS,
            what=f"{alert} {'to end' if ended else ''} in Alertmanager",
        )

    def _is_active(self, alert: str, subject: str) -> bool:
        alerts = requests.get(f"{self._alertmanager}/api/v2/alerts", timeout=10).json()
        return any(found["labels"]["alertname"] == alert and subject in found["labels"].values() for found in alerts)

    def _circuit(self) -> dict[str, Any]:
        circuit: dict[str, Any] = self._api.get("breakers/kaway")
        return circuit

    def _ask(self, channel: str) -> None:
        self._ended(self._api.post("analysis", {"title": "Weekly look", "channels": ["amazon", channel]})["jobId"])

    def _ended(self, job_id: str) -> dict[str, Any]:
        def job_ended() -> dict[str, Any]:
            job: dict[str, Any] = self._api.get(f"jobs/{job_id}")
            return job if job["status"] in {"completed", "failed"} else {}

        return wait_until(job_ended, seconds=PATIENCE_SECONDS, what=f"job {job_id} to end")


def broken_links(links: list[str]) -> dict[str, str]:
    """Return what is wrong with these links: each must answer 200, and one to Grafana must be in its form."""
    grafana = MonitoringSettings().grafana_url
    wrong = {}
    for link in links:
        if link.startswith(grafana):
            shape = _GRAFANA.match(link.removeprefix(grafana))
            if shape is None or shape["uid"] not in set(Dashboard):
                wrong[link] = "no dashboard with its environment and a time"
            continue
        status = requests.get(link, timeout=10).status_code
        if status != requests.codes.ok:
            wrong[link] = str(status)
    return wrong


def _links(part: object) -> Iterator[str]:
    """Yield every value of `url` in blocks, however deep."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "url" and isinstance(value, str):
                yield value
            else:
                yield from _links(value)
    elif isinstance(part, list):
        for item in part:
            yield from _links(item)


def _seconds(since: str, message: dict[str, Any]) -> float:
    return (datetime.fromisoformat(message["receivedAt"]) - datetime.fromisoformat(since)).total_seconds()
