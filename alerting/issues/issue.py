"""Issues: which sources say that one cause goes on. Pure: no clock, no file.

Both paths speak of one cause. What the pipeline says of the end of an alert ends it for Alertmanager too, whose rules
look at old scrapes and keep firing for a while after the cause has gone. docs/howto/relay.md
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from alerting.signals import Path, Signal
from app.domain.alerts import Severity

#: Severities, the least first.
_ORDER = tuple(Severity)

#: How a source is known: the path, the name of the alert, and which of the alerts of that name it is.
SourceKey = tuple[Path, str, str]


class Outcome(StrEnum):
    """What became of a signal; a label of `app.metrics.RELAY_SIGNALS`."""

    ACCEPTED = "accepted"
    """The issue began or came again, or a source of it ended."""
    JOINED = "joined"
    """The other path had told of it before."""
    REPEATED = "repeated"
    """Nothing in it is new."""
    STALE = "stale"
    """It is older than what is known."""
    HELD = "held"
    """It counts only if it still fires when the hold is over."""


@dataclass(frozen=True)
class Source:
    """One alert of one path; all times are seconds since 1970."""

    severity: Severity
    #: When it began to fire; of a direct one, when it last said so.
    began_at: float
    firing: bool = True
    #: Of Alertmanager: it fires, but does not count before then.
    held_until: float | None = None
    #: Of a direct one: the last end that it told of. What began before that is a consequence of what has ended.
    ended_at: float | None = None


@dataclass(frozen=True)
class Issue:
    """What is known of an issue. An *episode* lasts from when a source begins to fire until none does."""

    sources: Mapping[SourceKey, Source] = field(default_factory=dict)
    #: When the episode that goes on began; None while nothing fires.
    began_at: float | None = None
    #: When the last episode ended.
    ended_at: float | None = None
    #: Alertmanager began this episode, and no notice has come yet: the first one will be no news.
    awaits_notice: bool = False
    #: The worst that firing and update messages of this episode have said, or None.
    worst_told: Severity | None = None
    #: What the last of those said, of whatever episode.
    last_told: Severity | None = None
    #: When the last firing or update message was made.
    told_at: float | None = None
    #: Occurrences that no message has told of yet, and when the first one was.
    suppressed: int = 0
    suppressed_since: float | None = None
    #: When something was heard or told last.
    changed_at: float = 0.0

    @property
    def is_told(self) -> bool:
        """Whether this episode has had a message."""
        return self.worst_told is not None

    @property
    def severity(self) -> Severity | None:
        """The worst severity of the sources that fire, or None when none does."""
        firing = [source.severity for source in self.sources.values() if source.firing]
        return max(firing, key=rank) if firing else None


@dataclass(frozen=True)
class Heard:
    """An issue after it has heard something, and whether that was an occurrence: one more time that it happened."""

    issue: Issue
    outcome: Outcome
    is_occurrence: bool = False


def rank(severity: Severity) -> int:
    """Return a number that is higher for a worse severity.

    >>> rank(Severity.CRITICAL) > rank(Severity.WARNING)
    True
    """
    return _ORDER.index(severity)


def hear(issue: Issue, signal: Signal, now: float, *, hold_seconds: float) -> Heard:
    """Return the issue after a signal that it has not heard before, by its id, if that came directly."""
    issue = clamped(issue, now, hold_seconds=hold_seconds)
    at = signal.at.timestamp()
    if signal.path is Path.ALERTMANAGER:
        heard = _alert_fires(issue, signal, at, now, hold_seconds) if signal.firing else _alert_ends(issue, signal, at)
    elif signal.firing:
        # A sender whose clock is ahead must not make everything stale that comes until then.
        heard = _notice_fires(issue, signal, min(at, now))
    else:
        heard = _notice_ends(issue, signal, min(at, now), now, hold_seconds)
    return replace(heard, issue=_episode(heard.issue, signal.path, min(at, now), now))


def ripen(issue: Issue, now: float, *, hold_seconds: float) -> Heard:
    """Return the issue after the holds that are over by now; the alerts that were held count."""
    issue = clamped(issue, now, hold_seconds=hold_seconds)
    ripe = {
        key: replace(source, firing=True, held_until=None)
        for key, source in issue.sources.items()
        if source.held_until is not None and source.held_until <= now
    }
    if not ripe:
        return Heard(issue, Outcome.REPEATED)
    news = any(not _direct_fires(issue, key[1]) for key in ripe)
    began_at = min(source.began_at for source in ripe.values())
    after = replace(issue, sources={**issue.sources, **ripe})
    after = _episode(after, Path.ALERTMANAGER, min(began_at, now), now)
    return Heard(after, Outcome.ACCEPTED if news else Outcome.JOINED, is_occurrence=news)


def clamped(issue: Issue, now: float, *, hold_seconds: float) -> Issue:
    """Return the issue with no time of ours in the future: a clock that was set back must not silence it until then."""
    return replace(
        issue,
        sources={key: _clamped_source(source, now, hold_seconds) for key, source in issue.sources.items()},
        told_at=_at_most(issue.told_at, now),
        suppressed_since=_at_most(issue.suppressed_since, now),
        changed_at=min(issue.changed_at, now),
    )


def _clamped_source(source: Source, now: float, hold_seconds: float) -> Source:
    ended_at, held_until = _at_most(source.ended_at, now), _at_most(source.held_until, now + hold_seconds)
    if ended_at == source.ended_at and held_until == source.held_until:
        return source
    return replace(source, ended_at=ended_at, held_until=held_until)


def _at_most(time: float | None, limit: float) -> float | None:
    return None if time is None else min(time, limit)


def _notice_fires(issue: Issue, signal: Signal, at: float) -> Heard:
    key = _key(signal)
    before = issue.sources.get(key)
    if before is not None and before.ended_at is not None and at < before.ended_at:
        return Heard(issue, Outcome.STALE)
    latest = max(at, before.began_at) if before is not None and before.firing else at
    source = Source(signal.severity, latest, ended_at=None if before is None else before.ended_at)
    joins = issue.awaits_notice
    after = replace(issue, sources={**issue.sources, key: source}, awaits_notice=False)
    return Heard(after, Outcome.JOINED if joins else Outcome.ACCEPTED, is_occurrence=not joins)


def _notice_ends(issue: Issue, signal: Signal, at: float, now: float, hold_seconds: float) -> Heard:
    key = _key(signal)
    before = issue.sources.get(key, Source(signal.severity, at, firing=False))
    if before.firing and before.began_at > at:
        return Heard(issue, Outcome.STALE)
    ended_at = at if before.ended_at is None else max(at, before.ended_at)
    sources = {**issue.sources, key: replace(before, firing=False, ended_at=ended_at)}
    for other, source in issue.sources.items():
        if other[:2] != (Path.ALERTMANAGER, signal.alert):
            continue
        if source.began_at <= ended_at:
            del sources[other]
        elif source.began_at <= ended_at + hold_seconds and now < ended_at + hold_seconds:
            sources[other] = replace(source, firing=False, held_until=ended_at + hold_seconds)
    return Heard(replace(issue, sources=sources), Outcome.ACCEPTED)


def _alert_fires(issue: Issue, signal: Signal, at: float, now: float, hold_seconds: float) -> Heard:
    key = _key(signal)
    before = issue.sources.get(key)
    if before is not None and at <= before.began_at:
        return Heard(issue, Outcome.REPEATED)
    joins = _direct_fires(issue, signal.alert)
    ends = [s.ended_at for k, s in issue.sources.items() if _is_direct(k, signal.alert) and s.ended_at is not None]
    source, outcome = Source(signal.severity, at), Outcome.JOINED if joins else Outcome.ACCEPTED
    if ends and at <= max(ends):
        return Heard(issue, Outcome.STALE)
    if ends and not joins and at <= (held_until := max(ends) + hold_seconds) and now < held_until:
        source, outcome = replace(source, firing=False, held_until=held_until), Outcome.HELD
    after = replace(issue, sources={**issue.sources, key: source})
    return Heard(after, outcome, is_occurrence=outcome is Outcome.ACCEPTED)


def _alert_ends(issue: Issue, signal: Signal, at: float) -> Heard:
    key = _key(signal)
    before = issue.sources.get(key)
    if before is not None and at < before.began_at:
        return Heard(issue, Outcome.STALE)
    sources = {other: source for other, source in issue.sources.items() if other != key}
    is_left = any(s.firing for k, s in sources.items() if k[:2] == (Path.ALERTMANAGER, signal.alert))
    if before is not None and before.firing and not is_left:
        # Prometheus saw what the pipeline told of, and sees it no more. Of an alert that did not count, that is not
        # known: it may have begun before an end that the pipeline told of, and end only now.
        sources = {
            k: replace(s, firing=False) if _is_direct(k, signal.alert) and s.began_at <= at else s
            for k, s in sources.items()
        }
    return Heard(replace(issue, sources=sources), Outcome.REPEATED if sources == issue.sources else Outcome.ACCEPTED)


def _episode(issue: Issue, path: Path, at: float, now: float) -> Issue:
    """Return the issue with its episode begun or ended, as its sources say."""
    fires = issue.severity is not None
    issue = replace(issue, changed_at=now)
    if fires and issue.began_at is None:
        return replace(issue, began_at=at, awaits_notice=path is Path.ALERTMANAGER)
    if not fires and issue.began_at is not None:
        return replace(issue, ended_at=max(at, issue.began_at), awaits_notice=False)
    return issue


def _key(signal: Signal) -> SourceKey:
    return signal.path, signal.alert, signal.fingerprint


def _is_direct(key: SourceKey, alert: str) -> bool:
    return key[0] is not Path.ALERTMANAGER and key[1] == alert


def _direct_fires(issue: Issue, alert: str) -> bool:
    return any(source.firing for key, source in issue.sources.items() if _is_direct(key, alert))
