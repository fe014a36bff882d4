"""A storm of alerts, a relay that is killed in it, and a Slack that fails in every way: each issue is told, once."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from alerting.messages.forms import REPEAT
from loadtest.slack_inbox import SlackBehaviour
from loadtest.slack_server import FakeSlack
from tests.relay_process import RelayProcess, alert, post_alerts
from tests.servers import end, free_port, wait_until

ISSUES = 20
ALERTS_OF_EACH = 25

_SENDERS = 4
#: More than a message waits after the last pause before an attempt.
_DRAIN_SECONDS = 120.0

#: A message of an issue tells of its own occurrence or goes on, a line of a digest tells of all.
_OWN = re.compile(r"(?:Info|Warning|Critical): (agent-\d\d) is not called")
_SUPPRESSED = re.compile(r"\+(\d+) suppressed")
_LINE = re.compile(r"(agent-\d\d) is not called \((?:(\d+) times, )?since")


@dataclass(frozen=True)
class Outage:
    """One way in which Slack fails, for some seconds; `refuse` means that nobody listens."""

    mode: str
    seconds: float


@dataclass
class Storm:
    """What came of it: by issue, how often it was told to have come, and in how many messages or lines of digests."""

    accepted: int = 0
    tries: int = 0
    occurrences: Counter[str] = field(default_factory=Counter)
    mentions: Counter[str] = field(default_factory=Counter)
    #: The same before the window of the issue was over.
    early_mentions: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    digests: int = 0
    #: Messages that say that they may be repeats: a kill left unknown whether Slack had them.
    marked: int = 0

    @property
    def problems(self) -> list[str]:
        """What is not as it should be, in words; nothing when all is well."""
        names = [f"agent-{number:02}" for number in range(ISSUES)]
        wrong = [f"{name}: told {self.occurrences[name]} times of {ALERTS_OF_EACH}" for name in names]
        wrong = [text for name, text in zip(names, wrong, strict=True) if self.occurrences[name] != ALERTS_OF_EACH]
        wrong += [
            f"{name}: {count} messages within a window" for name, count in self.early_mentions.items() if count > 1
        ]
        if self.accepted != ISSUES * ALERTS_OF_EACH:
            wrong.append(f"{self.accepted} alerts accepted of {ISSUES * ALERTS_OF_EACH}")
        return wrong


def storm(
    directory: Path, *, seconds: float, window_seconds: float, kills: int, outages: Sequence[Outage] = ()
) -> Storm:
    """Send the alerts within `seconds`, kill the relay meanwhile, let Slack fail, and read what Slack was told."""
    port = free_port()
    began_at = time.time()
    with ExitStack() as slacks:
        slack = slacks.enter_context(FakeSlack(port=port))
        relay = RelayProcess(
            directory,
            slack_webhook_url=slack.webhook("C0"),
            window_seconds=str(window_seconds),
            # No Alertmanager is here whose silence is to be told.
            watchdog_seconds="3600",
        )
        inboxes = [slack.inbox]
        try:
            relay.start()
            result = Storm()
            with ThreadPoolExecutor(2) as pool:
                sending = pool.submit(_send_all, relay.url, seconds, result)
                for _ in range(kills):
                    time.sleep(seconds / (kills + 1))
                    relay.kill()
                    relay.start()
                for outage in outages:
                    if outage.mode == "refuse":
                        slacks.close()
                        time.sleep(outage.seconds)
                        slack = slacks.enter_context(FakeSlack(port=port))
                        inboxes.append(slack.inbox)
                    else:
                        slack.inbox.behave(SlackBehaviour(outage.mode, retry_after_seconds=outage.seconds))
                        time.sleep(outage.seconds)
                        slack.inbox.behave(SlackBehaviour())
                sending.result()
            wait_until(
                lambda: time.time() > began_at + window_seconds + seconds and relay.waiting() == 0,
                seconds=window_seconds + seconds + _DRAIN_SECONDS,
                what="everything to be told",
            )
        finally:
            if relay.process is not None:
                end(relay.process)
        messages = [message.as_json() for message in itertools.chain(*(inbox.messages() for inbox in inboxes))]
    _read(messages, result, window_ends_at=began_at + window_seconds)
    return result


def _send_all(url: str, seconds: float, result: Storm) -> None:
    """Send every alert at its moment, and again until it is answered 200, as Alertmanager does."""
    alerts = [
        alert(f"agent-{number % ISSUES:02}", fingerprint=f"{number:016x}") for number in range(ISSUES * ALERTS_OF_EACH)
    ]
    began_at = time.monotonic()
    guard = threading.Lock()

    def send(number: int) -> None:
        time.sleep(max(0.0, began_at + number * seconds / len(alerts) - time.monotonic()))
        deadline = time.monotonic() + _DRAIN_SECONDS
        while time.monotonic() < deadline:
            try:
                taken = post_alerts(url, [alerts[number]]).status_code == requests.codes.ok
            except requests.RequestException:
                taken = False
            with guard:
                result.tries += 1
                result.accepted += taken
            if taken:
                return
            time.sleep(0.2)

    with ThreadPoolExecutor(_SENDERS) as pool:
        list(pool.map(send, range(len(alerts))))


def _read(messages: Sequence[dict[str, Any]], result: Storm, *, window_ends_at: float) -> None:
    result.messages = len(messages)
    for message in messages:
        words = " ".join(_texts(message["blocks"]))
        result.marked += REPEAT in words
        lines = _LINE.findall(words)
        result.digests += bool(lines)
        told = {agent: int(times or 1) for agent, times in lines}
        if not lines:
            suppressed = sum(int(count) for count in _SUPPRESSED.findall(words))
            own = _OWN.search(words)
            named = re.search(r"agent-\d\d", words)
            assert named is not None, words
            told = {named.group(): suppressed + (own is not None)}
        early = _moment(message["receivedAt"]) < window_ends_at
        for agent, times in told.items():
            result.occurrences[agent] += times
            result.mentions[agent] += 1
            result.early_mentions[agent] += early


def _texts(part: object) -> list[str]:
    """Return every text in blocks, in order, those of one element together."""
    if isinstance(part, dict):
        own = [part["text"]] if isinstance(part.get("text"), str) else []
        return own + [text for value in part.values() if isinstance(value, dict | list) for text in _texts(value)]
    if isinstance(part, list):
        return [text for item in part for text in _texts(item)]
    return []


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
