from deploy.local.child import Restarts, how_it_ended


def test_a_process_that_dies_again_and_again_waits_1_2_4_8_seconds_and_is_given_up_at_the_fifth() -> None:
    restarts = Restarts()
    assert [restarts.pause_after_death(now) for now in (0.0, 1.0, 3.0, 7.0, 15.0)] == [1.0, 2.0, 4.0, 8.0, None]


def test_deaths_more_than_60_seconds_ago_do_not_count() -> None:
    restarts = Restarts()
    assert [restarts.pause_after_death(now) for now in (0.0, 59.0, 60.0, 130.0)] == [1.0, 2.0, 2.0, 1.0]


def test_how_a_process_ended_is_said_in_words() -> None:
    assert how_it_ended(-15) == "killed by SIGTERM"
    assert how_it_ended(1) == "ended with code 1"
