"""Whatever Slack answers, and whenever the relay dies: each message is told once, or marked as a possible repeat."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from alerting.messages.forms import REPEAT
from alerting.slack import route_sender, waiting
from alerting.slack.client import Outcome, Slack, SlackAnswer
from alerting.slack.outbox import add_message
from alerting.slack.route_sender import RouteSender
from alerting.slack.routes import Destination, routes_of
from alerting.store import Store
from app.live_metrics import LiveMetrics
from app.metrics import RELAY_METRICS
from app.settings import RelaySettings
from tests.delivered import card

_SETTINGS = RelaySettings.model_validate({"slack_webhook_url": "https://slack.example/hook", "digest_above": 3})
_SEVERITIES = ("info", "warning", "critical")


class _Killed(Exception):  # noqa: N818 -- it stands for a signal
    pass


class _ScriptedSlack(Slack):
    """Answers what the test says, and keeps what arrived: titles with whether they were marked as a repeat."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.arrived: list[tuple[tuple[int, ...], bool]] = []

    def post(
        self,
        _destination: Destination,
        payload: Mapping[str, Any],
        *,
        thread: str | None = None,
        broadcast: bool = False,
    ) -> SlackAnswer:
        del thread, broadcast
        answer = self.answers.pop() if self.answers else "ok"
        if answer in {"ok", "lost", "killed"}:
            text = payload["text"]
            ids = tuple(int(word) for word in text.partition("\n")[0].split())
            self.arrived.append((ids, REPEAT in text))
        if answer in {"killed", "killed before"}:
            raise _Killed
        if answer == "lost":
            return SlackAnswer(Outcome.UNAVAILABLE, may_have_arrived=True)
        return SlackAnswer(Outcome(answer), retry_after_seconds=30 if answer == "rate_limited" else None)


class Deliveries(RuleBasedStateMachine):
    """The outbox with one route; time and deaths are the test's."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store(Path(self.folder.name) / "relay.db")
        self.metrics = LiveMetrics(metrics=RELAY_METRICS)
        self.slack = _ScriptedSlack()
        self.now = 1e9
        self.added = 0
        self.restart()

    def teardown(self) -> None:
        if hasattr(self, "store"):
            try:
                self.settle()
            finally:
                self.store.close()
                self.folder.cleanup()

    @rule(number=st.integers(1, 6), severity=st.sampled_from(_SEVERITIES), issue=st.integers(0, 2))
    def add(self, number: int, severity: str, issue: int) -> None:
        for _ in range(number):
            self.added += 1
            with self.store.write() as connection:
                each = card(f"issue {issue}", severity=severity).model_copy(update={"title": str(self.added)})
                assert add_message(connection, each, now=self.now) == self.added

    @rule(
        answer=st.sampled_from(
            ["ok", "rate_limited", "unavailable", "misconfigured", "invalid", "lost", "killed", "killed before"]
        )
    )
    def step(self, answer: str) -> None:
        self.slack.answers = [answer]
        try:
            with _drawn():
                self.sender.step()
        except _Killed:
            self.restart()

    @rule(seconds=st.sampled_from([0.5, 2.0, 40.0, 700.0, -3600.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def restart(self) -> None:
        with self.store.write() as connection:
            waiting.recover(connection)
        [route] = routes_of(_SETTINGS)
        assert route.destination is not None
        self.sender = RouteSender(
            self.store,
            route,
            route.destination,
            self.slack,
            _SETTINGS,
            self.metrics,
            now=lambda: self.now,
            random=Random(1),
        )

    @invariant()
    def nothing_is_sent_twice_unmarked(self) -> None:
        seen: Counter[int] = Counter()
        for ids, marked in getattr(self, "slack", _ScriptedSlack()).arrived:
            for each in ids:
                assert marked or not seen[each], (each, self.slack.arrived)
                seen[each] += 1

    def settle(self) -> None:
        """Let Slack take everything that is left: then each message has arrived, alone or in one digest."""
        self.slack.answers = []
        for _ in range(1000):
            self.now += 700.0
            with _drawn():
                self.sender.step()
            if all(row["state"] == "sent" for row in self._rows()):
                break
        rows = self._rows()
        assert {row["state"] for row in rows} <= {"sent"}
        arrived = Counter(each for ids, _ in self.slack.arrived for each in ids)
        assert set(arrived) == {row["id"] for row in rows}
        self.nothing_is_sent_twice_unmarked()

    def _rows(self) -> list[dict[str, Any]]:
        with self.store.read() as connection:
            return [dict(row) for row in connection.execute("SELECT * FROM messages")]


@contextmanager
def _drawn() -> Iterator[None]:
    """Draw a message as the numbers of what it stands for."""
    members: list[int] = []
    digest_of = waiting.digest_of

    def watched(connection: Any, severities: Any) -> Any:  # noqa: ANN401 -- stands for another module's function
        digest = digest_of(connection, severities)
        found = connection.execute("SELECT id FROM messages WHERE state = 'waiting' AND id <= ?", (digest.upto,))
        members[:] = [row["id"] for row in found]
        assert sum(digest.counts.values()) == len(members)
        return digest

    with (
        patch.object(waiting, "digest_of", watched),
        patch.object(route_sender, "card_payload", lambda each, **_more: {"text": each.title}),
        patch.object(route_sender, "digest_payload", lambda *_cards, **_more: {"text": " ".join(map(str, members))}),
    ):
        yield


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = hypothesis_settings(max_examples=40, stateful_step_count=30, deadline=None)
