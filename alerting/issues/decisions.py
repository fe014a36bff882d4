"""Decisions, written down: each signal and each tick goes through `alerting.issues.throttle` within a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from alerting.issues.issue import Issue, Outcome
from alerting.issues.rows import (
    due_issues,
    forget_issue,
    is_accepted,
    load_issue,
    prune_accepted,
    save_issue,
)
from alerting.issues.throttle import Message, Pace, decide, due_at
from alerting.messages.cards import Card, make_card
from alerting.messages.links import LinkMaker
from alerting.signals import Path, Signal
from alerting.silences.silence_links import silenced_until
from alerting.slack.outbox import add_message
from app.domain.alerts import AlertType

#: Signals or issues of one transaction: it must stay short, for others wait for it.
MOST_TOGETHER = 500

#: Seconds that the id of a notice is remembered. The pipeline tries for a day or so.
_ACCEPTED_SECONDS = 7 * 86_400.0


@dataclass(frozen=True)
class Decided:
    """What became of one signal, or of one issue in a tick: what is counted once that is committed."""

    path: Path
    type: AlertType
    outcome: Outcome
    is_suppressed: bool = False


class Decisions:
    """Decides in the caller's transaction; `now` is in seconds since 1970."""

    def __init__(self, pace: Pace, links: LinkMaker) -> None:
        self._pace = pace
        self._links = links

    def hear(self, connection: sqlite3.Connection, signals: Iterable[Signal], now: float) -> list[Decided]:
        """Take signals, and put the messages that follow into the outbox."""
        return [self._hear(connection, signal, now) for signal in signals]

    def begin(self, connection: sqlite3.Connection) -> None:
        """Look at every issue in the next ticks: the settings may have changed since the relay ran last."""
        connection.execute("UPDATE issues SET due_at = 0")

    def tick(self, connection: sqlite3.Connection, now: float) -> list[Decided]:
        """Let time pass for issues that it changes: for `MOST_TOGETHER` of them, and then there may be more."""
        decided = []
        for key in due_issues(connection, now, limit=MOST_TOGETHER):
            known = load_issue(connection, key)
            if known is not None:
                decided.append(self._decide(connection, key, known, None, now))
        prune_accepted(connection, now - _ACCEPTED_SECONDS, limit=MOST_TOGETHER)
        return decided

    def _hear(self, connection: sqlite3.Connection, signal: Signal, now: float) -> Decided:
        if signal.path is not Path.ALERTMANAGER and is_accepted(connection, signal.id, now):
            return Decided(signal.path, signal.type, Outcome.REPEATED)
        key = signal.issue
        known = load_issue(connection, key)
        return self._decide(connection, key, known or (Issue(), signal), signal, now)

    def _decide(
        self,
        connection: sqlite3.Connection,
        key: str,
        known: tuple[Issue, Signal],
        signal: Signal | None,
        now: float,
    ) -> Decided:
        issue, last = known
        quiet_until = silenced_until(connection, key, now=now)
        decision = decide(issue, signal, now, self._pace, quiet_until=quiet_until)
        if signal is not None and decision.outcome in {Outcome.ACCEPTED, Outcome.JOINED}:
            last = _latest(last, signal, goes_on=issue.began_at is not None)
        if decision.message is not None:
            add_message(connection, self._card(last, decision.message), now=now)
        if decision.issue is None:
            forget_issue(connection, key)
        # A tick moves `due_at`, whatever else it changes.
        elif signal is None or replace(decision.issue, changed_at=issue.changed_at) != issue:
            due = due_at(decision.issue, self._pace, quiet_until=quiet_until)
            save_issue(connection, key, decision.issue, last, before=issue, due_at=due)
        path = Path.OWN if signal is None else signal.path
        return Decided(path, last.type, decision.outcome, decision.is_suppressed)

    def _card(self, signal: Signal, message: Message) -> Card:
        return make_card(
            signal,
            message.kind,
            severity=message.severity,
            started_at=_time(message.started_at),
            ended_at=None if message.ended_at is None else _time(message.ended_at),
            occurrences=int(message.is_occurrence),
            suppressed=message.suppressed,
            suppressed_since=None if message.suppressed_since is None else _time(message.suppressed_since),
            links=self._links.links(signal, started_at=message.started_at, ended_at=message.ended_at),
        )


def _latest(before: Signal, signal: Signal, *, goes_on: bool) -> Signal:
    """Return the signal that tells most of the issue now.

    While it goes on, what the pipeline said is kept, for only that has the ids and what was done; what an alert has
    beside it, its pages and labels, is taken along. The end of an alert repeats what its beginning said.
    """
    if not goes_on or before is signal:
        return signal
    notice = signal if signal.path is not Path.ALERTMANAGER else before
    alert = before if notice is signal else signal
    if notice.path is Path.ALERTMANAGER or alert.path is not Path.ALERTMANAGER:
        return signal
    return replace(
        notice,
        description=notice.description or alert.description,
        runbook_url=notice.runbook_url or alert.runbook_url,
        dashboard_url=notice.dashboard_url or alert.dashboard_url,
        labels=notice.labels or alert.labels,
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
