from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.issues.issue import Issue, Outcome
from alerting.issues.throttle import REMEMBERED_SECONDS, Decision, Message, Pace, decide, due_at
from alerting.messages.cards import MessageKind
from alerting.signals import Path, Signal
from app.domain.alerts import AlertType, Severity
from tests.throttle_model import Model

START = 1_000_000.0
PACE = Pace(window_seconds=300, remind_seconds=1000, hold_seconds=120)

SEVERITIES = {"Behind": Severity.WARNING, "Stalled": Severity.CRITICAL}


def signal(path: Path, alert: str, at: float, *, firing: bool = True, fingerprint: str = "") -> Signal:
    return Signal(
        path=path,
        id=f"{fingerprint}/{at}",
        fingerprint=fingerprint,
        alert=alert,
        type=AlertType.QUEUE_BACKED_UP,
        severity=SEVERITIES[alert],
        firing=firing,
        at=datetime.fromtimestamp(at, UTC),
        environment="test",
        subject={},
        summary="",
    )


class Story:
    """One issue, and what is told of it; times are seconds since the beginning."""

    def __init__(self, pace: Pace = PACE) -> None:
        self.issue = Issue()
        self.pace = pace
        self.quiet_until: float | None = None
        self.outcome = Outcome.ACCEPTED

    def notice(self, now: float, alert: str = "Behind", *, firing: bool = True, at: float | None = None) -> str:
        return self._take(signal(Path.PIPELINE, alert, START + (now if at is None else at), firing=firing), now)

    def alert(
        self, now: float, alert: str = "Behind", *, firing: bool = True, at: float | None = None, fingerprint: str = "a"
    ) -> str:
        at = START + (now if at is None else at)
        return self._take(signal(Path.ALERTMANAGER, alert, at, firing=firing, fingerprint=fingerprint), now)

    def tick(self, now: float) -> str:
        return self._take(None, now)

    def _take(self, heard: Signal | None, now: float) -> str:
        decision = decide(self.issue, heard, START + now, self.pace, quiet_until=self.quiet_until)
        self.issue = decision.issue or Issue()
        self.outcome = decision.outcome
        return short(decision.message)


def short(message: Message | None) -> str:
    """Return `kind severity +suppressed`, or nothing."""
    return "" if message is None else f"{message.kind} {message.severity} +{message.suppressed}"


def test_the_first_occurrence_is_told_at_once_and_the_next_within_the_window_are_counted() -> None:
    story = Story()
    assert story.notice(0) == "firing warning +0"
    assert [story.notice(second) for second in (1, 2, 299)] == ["", "", ""]
    assert story.tick(299.9) == ""
    assert story.tick(300) == "update warning +3"
    assert story.tick(301) == ""


def test_while_an_issue_is_silenced_only_a_rise_in_severity_and_the_recovery_are_told() -> None:
    story = Story()
    story.notice(0)
    story.quiet_until = START + 5000
    assert [story.notice(second) for second in (400, 800)] == ["", ""]
    assert story.tick(3000) == ""
    assert due_at(story.issue, PACE, quiet_until=story.quiet_until) == story.quiet_until
    assert story.alert(3001, "Stalled") == "firing critical +2"
    assert story.alert(3002, "Stalled", firing=False) == ""
    assert story.notice(3003) == ""
    assert story.notice(3004, firing=False) == "recovery critical +1"


def test_what_came_while_an_issue_was_silenced_is_told_when_the_silence_is_over() -> None:
    story = Story()
    story.notice(0)
    story.quiet_until = START + 5000
    story.notice(400)
    assert story.tick(4999) == ""
    assert story.tick(5000) == "update warning +1"


def test_an_issue_that_begins_while_it_is_silenced_is_due_when_the_silence_is_over() -> None:
    story = Story()
    story.quiet_until = START + 5000
    assert story.notice(0) == ""
    assert due_at(story.issue, PACE, quiet_until=story.quiet_until) == story.quiet_until
    assert story.tick(5000) == "firing warning +1"


def test_an_occurrence_after_the_window_is_told_at_once() -> None:
    story = Story()
    story.notice(0)
    assert story.notice(301) == "update warning +0"


def test_a_rise_in_severity_passes_within_the_window_and_once() -> None:
    story = Story()
    story.alert(0)
    assert story.alert(1, "Stalled") == "firing critical +0"
    assert story.alert(2, "Stalled", fingerprint="b") == ""
    assert story.alert(3, fingerprint="b") == ""


def test_a_recovery_passes_and_takes_the_count_along() -> None:
    story = Story()
    story.notice(0)
    story.notice(1)
    assert story.notice(2, firing=False) == "recovery warning +1"
    assert story.notice(3, firing=False) == ""


def test_an_episode_that_was_not_told_has_no_recovery_and_is_counted_at_the_end_of_the_window() -> None:
    story = Story()
    story.notice(0)
    story.notice(1, firing=False)
    assert story.notice(2) == ""
    assert story.notice(3, firing=False) == ""
    assert story.tick(299) == ""
    decision = decide(story.issue, None, START + 300, PACE)
    assert decision.message == Message(
        MessageKind.UPDATE,
        Severity.WARNING,
        started_at=START + 2,
        ended_at=START + 3,
        suppressed=1,
        suppressed_since=START + 2,
        is_occurrence=False,
    )


def test_an_episode_that_began_within_the_window_and_goes_on_gets_its_firing_message_at_its_end() -> None:
    story = Story()
    story.notice(0)
    story.notice(1, firing=False)
    story.notice(2)
    assert story.tick(300) == "firing warning +1"
    assert story.notice(301, firing=False) == "recovery warning +0"


def test_an_alert_on_what_a_notice_has_told_joins_it() -> None:
    story = Story()
    story.notice(0)
    assert story.alert(1) == ""
    assert story.outcome is Outcome.JOINED
    assert story.issue.suppressed == 0


def test_the_first_notice_on_what_alertmanager_has_told_joins_and_the_second_counts() -> None:
    story = Story()
    story.alert(0)
    story.notice(1)
    assert (story.outcome, story.issue.suppressed) == (Outcome.JOINED, 0)
    story.notice(2)
    assert (story.outcome, story.issue.suppressed) == (Outcome.ACCEPTED, 1)


def test_a_repeated_alert_is_nothing() -> None:
    story = Story()
    story.alert(0)
    assert story.alert(400, at=0) == ""
    assert story.outcome is Outcome.REPEATED


def test_a_notice_of_the_end_ends_the_alerts_of_both_paths() -> None:
    story = Story()
    story.notice(0)
    story.alert(1)
    assert story.notice(10, firing=False) == "recovery warning +0"
    assert story.alert(11, at=1) == ""
    assert story.outcome is Outcome.STALE
    assert story.alert(60, firing=False) == ""


@pytest.mark.parametrize("stays", [True, False], ids=["stays", "ends"])
def test_an_alert_that_begins_soon_after_the_end_counts_only_if_it_still_fires_when_the_hold_is_over(
    *, stays: bool
) -> None:
    story = Story(Pace(window_seconds=50, remind_seconds=1000, hold_seconds=120))
    story.notice(0)
    story.notice(10, firing=False)
    assert story.alert(15) == ""
    assert story.outcome is Outcome.HELD
    assert story.tick(129) == ""
    if not stays:
        story.alert(129, firing=False)
    assert story.tick(131) == ("firing warning +0" if stays else "")


def test_the_end_of_the_last_alert_ends_what_the_pipeline_told() -> None:
    story = Story()
    story.notice(0)
    story.alert(1, fingerprint="a")
    story.alert(1, fingerprint="b")
    assert story.alert(50, firing=False, fingerprint="a") == ""
    assert story.alert(51, firing=False, fingerprint="b") == "recovery warning +0"


def test_the_end_of_an_alert_on_what_was_before_does_not_end_what_the_pipeline_told_since() -> None:
    story = Story()
    story.notice(0)
    story.alert(5)
    story.notice(50, firing=False)
    story.notice(105)
    assert story.alert(111, firing=False) == ""
    assert story.issue.severity is Severity.WARNING


def test_the_end_of_an_alert_that_was_held_does_not_end_a_notice_either() -> None:
    story = Story()
    story.notice(0, firing=False)
    story.alert(5)
    story.notice(10)
    assert story.alert(111, firing=False) == ""
    assert story.issue.severity is Severity.WARNING


@pytest.mark.parametrize(("began_at", "outcome"), [(0, Outcome.STALE), (1, Outcome.HELD), (120, Outcome.HELD)])
def test_the_edges_of_the_hold(began_at: float, outcome: Outcome) -> None:
    story = Story()
    story.notice(0, firing=False)
    story.alert(119.9, at=began_at)
    assert story.outcome is outcome


def test_an_alert_that_comes_when_the_hold_is_over_counts_at_once() -> None:
    story = Story()
    story.notice(0, firing=False)
    assert story.alert(120, at=5) == "firing warning +0"


def test_a_late_end_of_an_older_alert_does_not_end_what_came_after_it() -> None:
    story = Story()
    story.notice(100)
    assert story.notice(101, firing=False, at=50) == ""
    assert story.alert(102, firing=False, at=60) == ""
    assert story.issue.severity is Severity.WARNING


def test_a_notice_that_is_older_than_the_end_is_stale() -> None:
    story = Story()
    story.notice(100, firing=False)
    assert story.notice(101, at=50) == ""
    assert story.outcome is Outcome.STALE


def test_what_goes_on_is_told_again_after_the_reminder() -> None:
    story = Story()
    story.notice(0)
    assert story.tick(999) == ""
    assert story.tick(1000) == "update warning +0"
    assert story.tick(1999) == ""
    assert story.tick(2000) == "update warning +0"


def test_a_reminder_does_not_break_the_window() -> None:
    story = Story(Pace(window_seconds=300, remind_seconds=60, hold_seconds=0))
    story.notice(0)
    assert story.tick(299) == ""
    assert story.tick(300) == "update warning +0"


def test_a_clock_that_is_set_back_delays_by_one_window_at_most() -> None:
    story = Story()
    story.notice(1_000_000)
    story.notice(1_000_001)
    assert story.tick(0) == ""
    assert story.tick(300) == "update warning +1"


def test_an_end_that_was_told_by_a_clock_ahead_does_not_silence_what_comes() -> None:
    story = Story()
    story.notice(0, firing=False, at=1_000_000)
    assert story.alert(200) == "firing warning +0"


def test_an_issue_is_forgotten_a_day_after_its_end() -> None:
    story = Story()
    story.notice(0)
    story.notice(1, firing=False)
    assert decide(story.issue, None, START + REMEMBERED_SECONDS, PACE).issue is not None
    assert decide(story.issue, None, START + 1 + REMEMBERED_SECONDS, PACE).issue is None


@dataclass(frozen=True)
class Step:
    """Something that happens after the clock has gone on, or was set."""

    seconds: float
    path: Path | None
    alert: str
    fingerprint: str
    firing: bool
    ago: float


#: Whole seconds, with the edges of the window, of the hold and of the reminder among them.
SECONDS = st.sampled_from([0, 1, 5, 60, 119, 120, 121, 299, 300, 301, 1000])
STEPS = st.lists(
    st.builds(
        Step,
        seconds=st.one_of(st.just(0), SECONDS, SECONDS, st.sampled_from([-1, -60, -300, -100_000, 5000])),
        path=st.sampled_from([None, Path.PIPELINE, Path.ALERTMANAGER]),
        alert=st.sampled_from(list(SEVERITIES)),
        fingerprint=st.sampled_from("ab"),
        firing=st.booleans(),
        ago=st.one_of(st.just(0), st.just(0), SECONDS, st.just(-1000)),
    ),
    max_size=40,
)
PACES = st.sampled_from([PACE, Pace(300, 60, 0), Pace(1, 60, 120), Pace(86_400, 14_400, 120)])


@dataclass(frozen=True)
class Run:
    """What was decided at each step; the clock of each, and how much has passed for a clock that never goes back."""

    decisions: list[Decision]
    now: list[float]
    pace: Pace

    @property
    def messages(self) -> list[tuple[int, Message]]:
        return [(step, d.message) for step, d in enumerate(self.decisions) if d.message is not None]


def run(steps: list[Step], pace: Pace) -> tuple[Run, Model]:
    issue, now, model = Issue(), START, Model(pace)
    decisions, times = [], []
    for step in steps:
        now += step.seconds
        heard = None
        if step.path is not None:
            fingerprint = step.fingerprint if step.path is Path.ALERTMANAGER else ""
            heard = signal(step.path, step.alert, now - step.ago, firing=step.firing, fingerprint=fingerprint)
        decision = decide(issue, heard, now, pace)
        model.step(heard, now)
        decisions.append(decision)
        times.append(now)
        issue = decision.issue or Issue()
    return Run(decisions, times, pace), model


@settings(max_examples=400, deadline=None)
@given(STEPS, PACES)
def test_every_decision_is_that_of_the_model(steps: list[Step], pace: Pace) -> None:
    found, model = run(steps, pace)
    told = [
        (step, message.kind, message.severity, message.suppressed + message.is_occurrence)
        for step, message in found.messages
    ]
    assert told == [(m.step, m.kind, m.severity, m.count) for m in model.messages()]


@settings(max_examples=200, deadline=None)
@given(STEPS, PACES)
def test_every_occurrence_is_counted_by_one_message_and_none_stays_suppressed(steps: list[Step], pace: Pace) -> None:
    end = Step(pace.window_seconds + pace.hold_seconds, None, "Behind", "a", firing=False, ago=0)
    found, model = run([*steps, end, end], pace)
    counted = sum(message.suppressed + message.is_occurrence for _, message in found.messages)
    assert counted == sum(entry.is_occurrence for entry in model.log)
    assert (found.decisions[-1].issue or Issue()).suppressed == 0


@settings(max_examples=200, deadline=None)
@given(STEPS, PACES)
def test_messages_keep_the_pace_and_a_recovery_follows_each_episode_that_was_told(
    steps: list[Step], pace: Pace
) -> None:
    found, model = run(steps, pace)
    told_at, said, is_told = None, None, False
    for step, decision in enumerate(found.decisions):
        message, fires = decision.message, model.log[step].severity is not None
        if message is not None and message.kind is MessageKind.RECOVERY:
            assert is_told
            assert not fires
        elif message is not None:
            rises = said is not None and list(Severity).index(message.severity) > list(Severity).index(said)
            went_back = told_at is not None and min(found.now[told_at : step + 1]) < found.now[told_at]
            if told_at is not None and not went_back and not rises:
                assert found.now[step] - found.now[told_at] >= pace.window_seconds
            told_at, said = step, message.severity
        elif is_told:
            assert fires, "an episode that was told ended without a recovery"
        is_told = fires and (is_told or message is not None)


@settings(max_examples=200, deadline=None)
@given(STEPS, PACES)
def test_nothing_changes_before_it_is_due(steps: list[Step], pace: Pace) -> None:
    found, _ = run(steps, pace)
    issue = found.decisions[-1].issue if found.decisions else None
    if issue is None:
        return
    due, now = due_at(issue, pace), found.now[-1]
    if due > now:
        early = decide(issue, None, (now + due) / 2, pace)
        assert (early.issue, early.message) == (issue, None)
    later = decide(issue, None, max(due, now), pace)
    assert later.issue != issue or later.message is not None
