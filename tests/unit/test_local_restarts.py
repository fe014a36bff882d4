from __future__ import annotations

from deploy.local.restarts import Notices, Restarts


def test_a_process_that_had_settled_restarts_at_once() -> None:
    restarts = Restarts()
    assert [restarts.pause_seconds(-9, lived) for lived in (3.0, 60.0, 5.0)] == [0.0, 0.0, 0.0]


def test_a_process_that_dies_early_again_and_again_waits_1_2_4_8_and_never_more_than_10_seconds() -> None:
    restarts = Restarts()
    assert [restarts.pause_seconds(1, 0.5) for _ in range(6)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_a_process_that_settles_begins_its_pauses_anew() -> None:
    restarts = Restarts()
    assert [restarts.pause_seconds(1, lived) for lived in (0.5, 0.5, 30.0, 0.5)] == [1.0, 2.0, 0.0, 1.0]


def test_a_process_that_ended_well_restarts_at_once_but_not_for_ever() -> None:
    restarts = Restarts()
    assert [restarts.pause_seconds(0, 0.5) for _ in range(3)] == [0.0, 2.0, 4.0]


def test_a_repeat_is_told_with_its_number_when_10_seconds_have_passed() -> None:
    said: list[str] = []
    times = iter((0.0, 4.0, 9.0, 14.0))
    notices = Notices(said.append, lambda: next(times))
    for _ in range(4):
        notices.tell("worker", "died", ": restarted")
    assert said == ["worker died: restarted", "worker died (3 times): restarted"]


def test_other_news_is_told_at_once() -> None:
    said: list[str] = []
    notices = Notices(said.append, lambda: 0.0)
    for program, what in (("worker", "died"), ("worker", "froze"), ("web", "died")):
        notices.tell(program, what)
    assert said == ["worker died", "worker froze", "web died"]
