"""A slow and simple model of the relay's decisions: what fires from naive lists, messages from the whole log."""

from __future__ import annotations

from dataclasses import dataclass, field

from alerting.issues.issue import rank
from alerting.issues.throttle import Pace
from alerting.messages.cards import MessageKind
from alerting.signals import Path, Signal
from app.domain.alerts import Severity


@dataclass
class Entry:
    """One step: what fired after it, and whether something happened once more."""

    now: float
    severity: Severity | None
    is_occurrence: bool


@dataclass
class Told:
    """One message of the model."""

    step: int
    kind: MessageKind
    severity: Severity | None
    count: int


@dataclass
class Firing:
    """What the model knows of the alerts of one name."""

    severity: Severity
    notice: float | None = None
    ended: float | None = None
    alerts: dict[str, float] = field(default_factory=dict)
    held: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def fires(self) -> bool:
        return self.notice is not None or bool(self.alerts)


class Model:
    """One issue, told of all that happens to it."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.log: list[Entry] = []
        self.names: dict[str, Firing] = {}
        self._first_by_alertmanager = False
        self._noticed = False

    def step(self, signal: Signal | None, now: float) -> list[Told]:
        """Take a signal or a tick; return all messages up to now."""
        fired_before = any(firing.fires for firing in self.names.values())
        self._clock_is(now)
        news = self._ripen(now) if signal is None else self._hear(signal, now)
        fires = [firing.severity for firing in self.names.values() if firing.fires]
        if not fired_before and fires:
            self._first_by_alertmanager = signal is None or signal.path is Path.ALERTMANAGER
            self._noticed = False
        self.log.append(Entry(now, max(fires, key=rank, default=None), news))
        return self.messages()

    def _clock_is(self, now: float) -> None:
        for firing in self.names.values():
            firing.ended = None if firing.ended is None else min(firing.ended, now)
            latest = now + self.pace.hold_seconds
            firing.held = {key: (began, min(until, latest)) for key, (began, until) in firing.held.items()}

    def _ripen(self, now: float) -> bool:
        news = False
        for firing in self.names.values():
            ripe = {key: began for key, (began, until) in firing.held.items() if until <= now}
            news = news or (bool(ripe) and firing.notice is None)
            firing.alerts |= ripe
            firing.held = {key: value for key, value in firing.held.items() if key not in ripe}
        return news

    def _hear(self, signal: Signal, now: float) -> bool:
        firing = self.names.setdefault(signal.alert, Firing(signal.severity))
        if signal.path is Path.ALERTMANAGER:
            return self._hear_alert(firing, signal, now)
        return self._hear_notice(firing, signal, min(signal.at.timestamp(), now), now)

    def _hear_notice(self, firing: Firing, signal: Signal, at: float, now: float) -> bool:
        hold = self.pace.hold_seconds
        if signal.firing:
            if firing.ended is not None and at < firing.ended:
                return False
            is_first_of_the_other = self._first_by_alertmanager and not self._noticed and self._fires()
            firing.notice = max(at, firing.notice or 0.0)
            self._noticed = True
            return not is_first_of_the_other
        if firing.notice is None or firing.notice <= at:
            firing.notice = None
            end = firing.ended = max(at, firing.ended or 0.0)
            known = firing.alerts | {held: began for held, (began, _) in firing.held.items()}
            firing.held = {k: (b, end + hold) for k, b in known.items() if end < b <= end + hold and now < end + hold}
            still = {k: b for k, b in known.items() if b > end and k not in firing.held and k in firing.alerts}
            ripe = {k: b for k, b in known.items() if b > end and k not in firing.held and k not in firing.alerts}
            firing.alerts = still
            firing.held |= {k: (b, now) for k, b in ripe.items()}
        return False

    def _hear_alert(self, firing: Firing, signal: Signal, now: float) -> bool:
        at, key, hold = signal.at.timestamp(), signal.fingerprint, self.pace.hold_seconds
        known = firing.alerts | {held: began for held, (began, _) in firing.held.items()}
        if not signal.firing:
            if key in known and at < known[key]:
                return False
            counted = key in firing.alerts
            self._forget(firing, key)
            if counted and not firing.alerts and firing.notice is not None and firing.notice <= at:
                firing.notice = None
            return False
        if (key in known and at <= known[key]) or (firing.ended is not None and at <= firing.ended):
            return False
        self._forget(firing, key)
        until = None if firing.ended is None else firing.ended + hold
        if firing.notice is None and until is not None and at <= until and now < until:
            firing.held[key] = (at, until)
            return False
        firing.alerts[key] = at
        return firing.notice is None

    def _forget(self, firing: Firing, key: str) -> None:
        firing.alerts.pop(key, None)
        firing.held.pop(key, None)

    def _fires(self) -> bool:
        return any(firing.fires for firing in self.names.values())

    def messages(self) -> list[Told]:
        """Return the messages that the log leads to, from its first entry on."""
        told: list[Told] = []
        for step in range(len(self.log)):
            message = self._message(step, told)
            if message is not None:
                told.append(message)
        return told

    def _message(self, step: int, told: list[Told]) -> Told | None:
        log, pace = self.log[: step + 1], self.pace
        severity = log[-1].severity
        fired_before = step > 0 and log[-2].severity is not None
        begun = step
        while begun > 0 and log[begun - 1].severity is not None:
            begun -= 1
        count = sum(entry.is_occurrence for entry in log[told[-1].step + 1 if told else 0 :])
        news = [message for message in told if message.kind is not MessageKind.RECOVERY]
        said = [message.severity for message in news if message.step >= begun and message.severity is not None]
        if severity is None and fired_before and said:
            return Told(step, MessageKind.RECOVERY, max(said, key=rank), count)
        worst = max(said, key=rank) if said else (news[-1].severity if news else None)
        # Whatever the clock did in between, a message was never made later than now.
        silent = log[-1].now - min(e.now for e in log[news[-1].step :]) if news else float("inf")
        rises = severity is not None and worst is not None and rank(severity) > rank(worst)
        due = count > 0 and silent >= pace.window_seconds
        reminds = severity is not None and silent >= max(pace.remind_seconds, pace.window_seconds)
        if rises or due or reminds:
            begins = severity is not None and not said
            shown = severity if severity is not None else worst
            return Told(step, MessageKind.FIRING if begins or rises else MessageKind.UPDATE, shown, count)
        return None
