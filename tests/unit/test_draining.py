from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from app.cli import draining
from app.cli.draining import DrainEnd, DrainReport, Queues, drain, last_words, told
from app.cli.exit_codes import ExitCode
from app.cli.remote import Remote
from app.domain.errors import MarketplaceError, NetworkError, NotAllowedError, RateLimitedError

Answer = list[dict[str, Any]] | BaseException


def queue(state: str, *, left: int | None = None, name: str = "phase1-tasks", **fields: object) -> dict[str, Any]:
    """Return a queue as the API tells it."""
    return {
        "queue": name,
        "state": state,
        "reason": "bad tasks",
        "changedBy": "ana",
        "left": left,
        "pendingDue": left or 0,
        "pendingDelayed": 0,
        "nextDueAt": None,
        "active": 0,
        **fields,
    }


class ScriptedRemote(Remote):
    """An API that gives these answers, one after the other, and then the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def get(self, path: str, **_query: str | int | None) -> dict[str, Any]:
        return self._next(path)

    def post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        assert body == {"reason": "roll back"}
        return self._next(path)

    def _next(self, path: str) -> dict[str, Any]:
        self.asked.append(path)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return {"items": answer}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(draining, "_SILENCE_SECONDS", 0.0)


def watched(
    *answers: Answer, timeout_seconds: float = 60.0, show: Callable[[Queues], None] = lambda _queues: None
) -> DrainReport:
    return drain(ScriptedRemote(*answers), {"reason": "roll back"}, timeout_seconds=timeout_seconds, show=show)


def test_a_drain_is_begun_once_and_watched_until_it_is_done() -> None:
    remote = ScriptedRemote([queue("draining", left=2)], [queue("draining", left=1)], [queue("drained")])
    seen: list[int | None] = []
    report = drain(
        remote, {"reason": "roll back"}, timeout_seconds=60, show=lambda queues: seen.append(queues[0]["left"])
    )
    assert remote.asked == ["queue/drain", "queue", "queue"]
    assert seen == [2, 1, None]
    assert (report.end, report.state, report.exit_code) == (DrainEnd.DRAINED, "drained", ExitCode.OK)


@pytest.mark.parametrize(
    ("answers", "end", "state", "code"),
    [
        ([[queue("drained")]], DrainEnd.DRAINED, "drained", ExitCode.OK),
        ([[queue("draining", left=2)], [queue("paused")]], DrainEnd.PAUSED, "paused", ExitCode.FAILED),
        ([[queue("draining", left=2)], [queue("running")]], DrainEnd.RESUMED, "running", ExitCode.FAILED),
        ([[queue("draining", left=2)], KeyboardInterrupt()], DrainEnd.INTERRUPTED, "draining", ExitCode.INTERRUPTED),
        ([KeyboardInterrupt()], DrainEnd.INTERRUPTED, "unknown", ExitCode.INTERRUPTED),
        ([[queue("draining", left=2)], NetworkError("gone")], DrainEnd.UNREACHABLE, "draining", ExitCode.UNREACHABLE),
        ([NetworkError("gone")], DrainEnd.UNREACHABLE, "unknown", ExitCode.UNREACHABLE),
        ([[queue("draining", left=2)], NotAllowedError("no")], DrainEnd.UNREACHABLE, "draining", ExitCode.NOT_ALLOWED),
    ],
    ids=["done", "paused", "resumed", "ctrl_c", "ctrl_c_at_once", "api_gone", "api_never_there", "token_revoked"],
)
def test_whatever_ends_it_the_state_has_a_name(
    answers: list[Answer], end: DrainEnd, state: str, code: ExitCode
) -> None:
    report = watched(*answers)
    assert (report.end, report.state, report.exit_code) == (end, state, code)
    words, following = last_words(report, " --queue phase1-tasks")
    assert words.startswith(f"{state}: ")
    assert following
    assert all(command.startswith("marketplace queue ") for command in following)


def test_it_ends_when_its_time_is_up() -> None:
    report = watched([queue("draining", left=2)], timeout_seconds=0)
    assert (report.end, report.state, report.exit_code) == (DrainEnd.TIMED_OUT, "draining", ExitCode.FAILED)


def test_an_empty_queue_that_no_scheduler_calls_drained_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "_UNNOTED_SECONDS", 0.0)
    report = watched([queue("draining", left=0)])
    assert (report.end, report.state, report.exit_code) == (DrainEnd.EMPTY, "draining", ExitCode.OK)


def test_an_api_that_is_silent_for_a_moment_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "_SILENCE_SECONDS", 60.0)
    report = watched([queue("draining", left=2)], NetworkError("restart"), RateLimitedError("slow"), [queue("drained")])
    assert report.end is DrainEnd.DRAINED


def test_a_refusal_to_begin_is_an_error_like_any_other() -> None:
    with pytest.raises(NotAllowedError):
        watched(NotAllowedError("this needs the role admin"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_even_where_it_was_ignored(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        report = watched([queue("draining", left=2)], show=lambda _queues: os.kill(os.getpid(), number))
        assert report.end is DrainEnd.INTERRUPTED
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_only_the_queues_that_are_drained_are_watched() -> None:
    report = watched([queue("draining", left=1)], [queue("running", name="analysis"), queue("drained")])
    assert (report.end, [found["queue"] for found in report.queues]) == (DrainEnd.DRAINED, ["phase1-tasks"])


def test_the_least_finished_queue_names_the_state() -> None:
    report = DrainReport(DrainEnd.TIMED_OUT, [queue("drained", name="analysis"), queue("draining", left=3)])
    assert report.state == "draining"


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (queue("draining", left=3, active=2), "phase1-tasks draining: 3 left, 2 running"),
        (
            queue("draining", left=1, pendingDelayed=1, nextDueAt="2026-01-05T10:00:00.000Z"),
            "phase1-tasks draining: 1 left, 1 to be tried again, the next at 2026-01-05T10:00:00.000Z",
        ),
        (queue("drained"), "phase1-tasks drained: nothing waits"),
        (queue("drained", pendingDue=4), "phase1-tasks drained: 4 waiting"),
        (queue("paused", pendingDue=4, active=1), "phase1-tasks paused: 4 waiting, 1 running"),
        (queue("paused", active=1), "phase1-tasks paused: nothing waits, 1 running"),
    ],
    ids=["draining", "retries", "drained", "newer_jobs", "paused", "still_running"],
)
def test_a_queue_is_told_in_a_line(found: dict[str, Any], line: str) -> None:
    assert told(found) == line


def test_the_last_words_name_who_ended_the_drain_and_why() -> None:
    words, _ = last_words(watched([queue("draining", left=2)], [queue("paused", left=2)]), "")
    assert words == "paused: switched by ana meanwhile (bad tasks). phase1-tasks paused: 2 waiting"


def test_the_last_words_keep_what_people_wrote_from_the_terminal() -> None:
    paused = queue("paused", reason="\x1b[31mred")
    assert "\x1b" not in last_words(watched([queue("draining", left=2)], [paused]), "")[0]


def test_an_error_is_part_of_the_last_words() -> None:
    error: MarketplaceError = NetworkError("http://127.0.0.1:1 cannot be reached")
    words, following = last_words(watched(error), "")
    assert words == ("unknown: no longer seen (http://127.0.0.1:1 cannot be reached); a drain that has begun goes on")
    assert following[0] == "marketplace queue show"
