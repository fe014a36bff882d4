"""The throttle: when an issue gets a message. Pure: no clock, no file; the same function at a signal and at a tick.

Every occurrence is counted by exactly one message: its own, or the next one of its issue. docs/howto/relay.md
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from alerting.issues.issue import Heard, Issue, Outcome, hear, rank, ripen
from alerting.messages.cards import MessageKind
from alerting.signals import Signal
from app.domain.alerts import Severity

#: Seconds that an issue is remembered after its end: what comes late must still be known as old.
REMEMBERED_SECONDS = 86_400.0


@dataclass(frozen=True)
class Pace:
    """How often an issue may be told: the settings of the same names."""

    window_seconds: float
    remind_seconds: float
    hold_seconds: float

    @property
    def reminder_seconds(self) -> float:
        """A reminder is an update, which comes once a window at most."""
        return max(self.remind_seconds, self.window_seconds)


@dataclass(frozen=True)
class Message:
    """A message to make; times are seconds since 1970. An update with an end tells of an issue that came and went."""

    kind: MessageKind
    severity: Severity
    started_at: float
    ended_at: float | None
    #: Occurrences before this message's own that none has told of.
    suppressed: int
    suppressed_since: float | None
    #: Whether the message tells of an occurrence of its own.
    is_occurrence: bool


@dataclass(frozen=True)
class Decision:
    """What follows from a signal or a tick; `issue` is None when it need not be remembered any more."""

    issue: Issue | None
    message: Message | None
    outcome: Outcome
    #: Whether an occurrence was only counted.
    is_suppressed: bool = False


def decide(
    issue: Issue, signal: Signal | None, now: float, pace: Pace, *, quiet_until: float | None = None
) -> Decision:
    """Return what follows from a signal, or from the passing of time; `now` is in seconds since 1970.

    The ids of direct signals are the caller's to check: one with a known id is not to be told again. Until
    `quiet_until`, because somebody has silenced the issue, only a rise in severity and the recovery are told.
    """
    if signal is None:
        heard = ripen(issue, now, hold_seconds=pace.hold_seconds)
    else:
        heard = hear(issue, signal, now, hold_seconds=pace.hold_seconds)
    counted = heard.issue
    if heard.is_occurrence:
        since = now if counted.suppressed_since is None else counted.suppressed_since
        counted = replace(counted, suppressed=counted.suppressed + 1, suppressed_since=since)
    kind = _kind(counted, now, pace, is_quiet=quiet_until is not None and now < quiet_until)
    if kind is None:
        after: Issue | None = _without_ended_episode(counted)
        if signal is None and _is_forgotten(counted, now, pace):
            after = None
        return Decision(after, None, heard.outcome, is_suppressed=heard.is_occurrence)
    return Decision(_told(counted, kind, now), _message(counted, kind, heard), heard.outcome)


def due_at(issue: Issue, pace: Pace, *, quiet_until: float | None = None) -> float:
    """Return when time alone will change something: `decide` without a signal is to be called from then on."""
    held = [source.held_until for source in issue.sources.values() if source.held_until is not None]
    told = []
    if issue.told_at is not None and issue.suppressed:
        told.append(issue.told_at + pace.window_seconds)
    elif issue.told_at is not None and issue.began_at is not None:
        told.append(issue.told_at + pace.reminder_seconds)
    elif issue.suppressed:
        told.append(issue.changed_at)
    if quiet_until is not None:
        told = [max(at, quiet_until) for at in told]
    return min([*held, *told], default=issue.changed_at + _remembered_seconds(pace))


def _kind(issue: Issue, now: float, pace: Pace, *, is_quiet: bool) -> MessageKind | None:
    """Return what message is to be made now, or None."""
    severity = issue.severity
    silent_seconds = float("inf") if issue.told_at is None else now - issue.told_at
    if issue.began_at is not None and severity is None and issue.is_told:
        return MessageKind.RECOVERY
    said = issue.worst_told or issue.last_told
    is_worse = severity is not None and said is not None and rank(severity) > rank(said)
    is_due = silent_seconds >= pace.window_seconds and issue.suppressed > 0
    is_reminder = severity is not None and silent_seconds >= pace.reminder_seconds
    if not is_worse and (is_quiet or not (is_due or is_reminder)):
        return None
    begins = severity is not None and not issue.is_told
    return MessageKind.FIRING if begins or is_worse else MessageKind.UPDATE


def _message(issue: Issue, kind: MessageKind, heard: Heard) -> Message:
    own = int(heard.is_occurrence)
    severity = issue.severity or issue.worst_told or issue.last_told
    started_at = issue.began_at if issue.began_at is not None else issue.suppressed_since
    assert severity is not None  # noqa: S101 -- a message needs an episode, or what is left of one
    assert started_at is not None  # noqa: S101 -- as above
    others = issue.suppressed - own
    return Message(
        kind=kind,
        severity=severity,
        started_at=started_at,
        ended_at=issue.ended_at if issue.severity is None else None,
        suppressed=others,
        suppressed_since=issue.suppressed_since if others else None,
        is_occurrence=heard.is_occurrence,
    )


def _told(issue: Issue, kind: MessageKind, now: float) -> Issue:
    """Return the issue after a message."""
    issue = replace(issue, suppressed=0, suppressed_since=None, changed_at=now)
    if kind is not MessageKind.RECOVERY:
        said = issue.severity or issue.last_told
        worst = max((s for s in (said, issue.worst_told) if s is not None), key=rank, default=None)
        issue = replace(issue, told_at=now, last_told=said, worst_told=worst)
    return _without_ended_episode(issue)


def _without_ended_episode(issue: Issue) -> Issue:
    return replace(issue, began_at=None, worst_told=None) if issue.severity is None else issue


def _remembered_seconds(pace: Pace) -> float:
    return max(REMEMBERED_SECONDS, pace.window_seconds, 2 * pace.hold_seconds)


def _is_forgotten(issue: Issue, now: float, pace: Pace) -> bool:
    held = any(source.held_until is not None for source in issue.sources.values())
    idle = issue.severity is None and not issue.suppressed and not held
    return idle and now - issue.changed_at >= _remembered_seconds(pace)
