"""The sender of one route: what it does in one step, and what it makes of Slack's answers.

A message is `sending` in the database before it leaves and `sent` when Slack has taken it. Whoever is killed in between
sends it again, and says that it may be a repeat: a message too many is better than one too few.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from html import escape
from random import Random
from typing import Any

import structlog

from alerting.messages.cards import Card, MessageKind
from alerting.messages.forms import first_line, marked_as_repeat, plain
from alerting.messages.payloads import card_payload, digest_payload
from alerting.slack import waiting
from alerting.slack.card_log import log_card
from alerting.slack.client import Outcome, Slack, SlackAnswer
from alerting.slack.pacing import MISCONFIGURED_SECONDS, Pace, backoff_seconds
from alerting.slack.route_health import RouteHealth, load_health, save_health
from alerting.slack.route_report import RouteReport
from alerting.slack.routes import Channel, Destination, Route
from alerting.slack.threads import begin_thread, forget_thread, next_ended, open_thread
from alerting.slack.waiting import Digest, WaitingMessage
from alerting.store import Store
from app.live_metrics import LiveMetrics
from app.metrics import ERRORS, RELAY_CALLS, RELAY_DELIVERY, RELAY_MESSAGES
from app.settings import RelaySettings

_log = structlog.stdlib.get_logger(__name__)

#: Longest pause between looks for messages; a new one wakes the sender.
IDLE_SECONDS = 1.0

Change = Callable[[sqlite3.Connection], object]


class RouteSender:
    """Sends the messages of one route, in one thread."""

    def __init__(
        self,
        store: Store,
        route: Route,
        destination: Destination,
        slack: Slack,
        settings: RelaySettings,
        metrics: LiveMetrics,
        *,
        now: Callable[[], float],
        random: Random,
    ) -> None:
        self.route = route
        self._store = store
        self._destination = destination
        self._slack = slack
        self._settings = settings
        self._metrics = metrics
        self._now = now
        self._random = random
        self._pace = Pace(settings.messages_per_second)
        #: What Slack's answer changes, until it is written: an answer must not be forgotten for want of disk space.
        self._unwritten: Change | None = None
        with store.read() as connection:
            self.health: RouteHealth = load_health(connection, route.key)
        failed = self.health.failing_since is not None
        self._report = RouteReport(store, route, problem="it failed before the restart" if failed else None)

    @property
    def problem(self) -> str | None:
        """Why nothing gets through; None while all is well. Any thread may ask."""
        return self._report.problem

    def step(self) -> float:
        """Make one call to Slack, if one is due; return after how many seconds there may be something to do.

        Raises:
            DatabaseUnavailableError: The file cannot be used; the next step goes on from there.
        """
        self._write_rest()
        self._report.log_waiting()
        now = self._now()
        pause = max(self.health.wait_seconds(now), self._pace.wait_seconds(now))
        if pause:
            return pause
        return 0.0 if self._send_next() or self._edit_next() else IDLE_SECONDS

    def _send_next(self) -> bool:
        severities = self.route.severities
        with self._store.read() as connection:
            digest = message = None
            if waiting.has_more_than(connection, severities, self._settings.digest_above):
                digest = waiting.digest_of(connection, severities)
            else:
                message = waiting.next_message(connection, severities)
        if digest is not None:
            self._send_digest(digest)
        elif message is not None:
            self._send_message(message)
        return digest is not None or message is not None

    def _send_message(self, message: WaitingMessage) -> None:
        mentions = self._settings.mentions
        payload = self._drawn(lambda: card_payload(message.card, mentions=mentions), [message.card])
        with self._store.write() as connection:
            waiting.begin(connection, message)
            thread = self._thread_of(connection, message.card)
        if thread is not None and message.card.kind is MessageKind.RECOVERY:
            # The message above it is edited to say all the rest.
            payload = first_line(payload, message.card)
        if message.uncertain or message.id <= self.health.uncertain_upto:
            payload = marked_as_repeat(payload)
        # A rise in severity is for everybody in the channel; a recovery and more of the same are for the thread.
        broadcast = message.card.kind is MessageKind.FIRING
        answer = self._post(payload, message.card, thread=thread, broadcast=broadcast)
        now = self._now()
        match answer.outcome:
            case Outcome.OK:
                self._succeed(lambda connection: self._end_message(connection, message, answer, thread, now))
                self._metrics.count(RELAY_MESSAGES, kind=message.card.kind, outcome="sent")
                self._metrics.observe(RELAY_DELIVERY, max(0.0, now - message.created_at))
            case Outcome.INVALID:
                self._succeed(lambda connection: waiting.end(connection, message, "refused", now=now))
                self._metrics.count(RELAY_MESSAGES, kind=message.card.kind, outcome="refused")
                _log.error("slack_refused_message", route=self.route.name, problem=answer.problem)
                log_card(message.card)
            case Outcome.GONE if thread is not None:
                self._write(lambda connection: self._leave_thread(connection, message, thread))
            case _:
                uncertain = answer.may_have_arrived
                self._fail(answer, lambda connection: waiting.put_back(connection, message, uncertain=uncertain))

    def _send_digest(self, digest: Digest) -> None:
        before = self.health.uncertain_upto
        payload = self._drawn(
            lambda: digest_payload(
                digest.cards, counts=digest.counts, since=digest.since, mentions=self._settings.mentions
            ),
            digest.cards,
        )
        self._save(replace(self.health, uncertain_upto=digest.upto))
        if digest.uncertain or digest.first <= before:
            payload = marked_as_repeat(payload)
        answer = self._post(payload, digest.cards[0])
        now = self._now()
        if answer.outcome is not Outcome.OK:
            if not answer.may_have_arrived:
                self._save(replace(self.health, uncertain_upto=before))
            self._fail(answer, lambda _connection: None)
            return
        self.health = replace(self.health, uncertain_upto=0)
        self._succeed(lambda connection: waiting.end_digest(connection, digest, self.route.severities, now=now))
        self._count_members(digest, now)
        _log.info("digest_sent", route=self.route.name, messages=sum(digest.counts.values()))

    def _edit_next(self) -> bool:
        """Edit the first message of an issue that has ended."""
        if not isinstance(self._destination, Channel):
            return False
        channel = self._destination.channel
        with self._store.read() as connection:
            ended = next_ended(connection, channel)
        if ended is None:
            return False
        answer, card = SlackAnswer(Outcome.GONE), ended.card
        if card is not None:
            payload = self._drawn(lambda: card_payload(card), [card])
            answer = self._call(self._slack.edit(self._destination, ended.ts, payload))
            if answer.outcome is Outcome.INVALID:
                answer = self._call(self._slack.edit(self._destination, ended.ts, plain(payload, card)))
        if answer.outcome in {Outcome.OK, Outcome.GONE, Outcome.INVALID}:
            self._succeed(lambda connection: forget_thread(connection, channel, ended.ts))
        else:
            self._fail(answer, lambda _connection: None)
        return True

    def _post(
        self, payload: Mapping[str, Any], card: Card, *, thread: str | None = None, broadcast: bool = False
    ) -> SlackAnswer:
        """Send a message; one that Slack does not take as it is, as plain text."""
        answer = self._call(self._slack.post(self._destination, payload, thread=thread, broadcast=broadcast))
        if answer.outcome is not Outcome.INVALID:
            return answer
        _log.error("slack_refused_blocks", route=self.route.name, problem=answer.problem, issue=card.issue)
        text = plain(payload, card)
        return self._call(self._slack.post(self._destination, text, thread=thread, broadcast=broadcast))

    def _drawn(self, draw: Callable[[], dict[str, Any]], cards: Sequence[Card]) -> dict[str, Any]:
        """Return a message; one that cannot be drawn must not stop those behind it, and is told by its names."""
        try:
            return draw()
        except Exception:  # noqa: BLE001 -- whatever a hostile text breaks, the next message must leave
            _log.exception("message_not_drawn", route=self.route.name)
            self._metrics.count(ERRORS, place="relay_delivery")
            for card in cards:
                log_card(card)
            names = ", ".join(sorted({card.alert for card in cards}))
            return {"text": escape(f"{names}: what it says cannot be shown here, it is in the log of the relay")}

    def _call(self, answer: SlackAnswer) -> SlackAnswer:
        """Count a call that was made."""
        self._pace.take(self._now())
        outcome = Outcome.INVALID if answer.outcome is Outcome.GONE else answer.outcome
        self._metrics.count(RELAY_CALLS, outcome=outcome)
        return answer

    def _thread_of(self, connection: sqlite3.Connection, card: Card) -> str | None:
        if not isinstance(self._destination, Channel):
            return None
        return open_thread(connection, self._destination.channel, card.issue)

    def _end_message(
        self,
        connection: sqlite3.Connection,
        message: WaitingMessage,
        answer: SlackAnswer,
        thread: str | None,
        now: float,
    ) -> None:
        waiting.end(connection, message, "sent", now=now)
        first = thread is None and message.card.kind is not MessageKind.RECOVERY
        if first and answer.ts and isinstance(self._destination, Channel):
            begin_thread(connection, self._destination.channel, answer.ts, message.card.issue)

    def _leave_thread(self, connection: sqlite3.Connection, message: WaitingMessage, thread: str) -> None:
        """Send a message anew, on its own: somebody has deleted what it was a reply to."""
        assert isinstance(self._destination, Channel)  # noqa: S101 -- only a channel has threads
        forget_thread(connection, self._destination.channel, thread)
        waiting.put_back(connection, message, uncertain=False)

    def _succeed(self, change: Change) -> None:
        """Write what a success changes, and that all is well."""
        since = self.health.failing_since
        self._report.well(after_seconds=0.0 if since is None else self._now() - since)
        self.health = self.health.well()
        self._write(change, lambda connection: save_health(connection, self.health))

    def _fail(self, answer: SlackAnswer, change: Change) -> None:
        """Write what a failure changes, and when the next attempt is due; say once what is wrong."""
        now = self._now()
        asked = answer.retry_after_seconds
        pause = backoff_seconds(self.health.failures + 1, self._random, asked=asked)
        if answer.outcome in {Outcome.MISCONFIGURED, Outcome.INVALID, Outcome.GONE}:
            pause = MISCONFIGURED_SECONDS
        elif answer.outcome is Outcome.RATE_LIMITED:
            self._pace.empty()
            if asked is not None:
                # Slack knows better than we do when it will take more.
                pause = backoff_seconds(1, self._random, asked=asked)
        self.health = self.health.failed(now, pause_seconds=pause)
        self._write(change, lambda connection: save_health(connection, self.health))
        self._report.failed(answer, pause_seconds=pause)

    def _count_members(self, digest: Digest, now: float) -> None:
        with self._store.read() as connection:
            for kind, created_at in waiting.members(connection, digest):
                self._metrics.count(RELAY_MESSAGES, kind=kind, outcome="digest")
                self._metrics.observe(RELAY_DELIVERY, max(0.0, now - created_at))

    def _save(self, health: RouteHealth) -> None:
        with self._store.write() as connection:
            save_health(connection, health)
        self.health = health

    def _write(self, *changes: Change) -> None:
        def all_changes(connection: sqlite3.Connection) -> None:
            for change in changes:
                change(connection)

        self._unwritten = all_changes
        self._write_rest()

    def _write_rest(self) -> None:
        if self._unwritten is not None:
            with self._store.write() as connection:
                self._unwritten(connection)
            self._unwritten = None
