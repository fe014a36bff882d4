from deploy.local.child import how_it_ended


def test_how_a_process_ended_is_said_in_words() -> None:
    assert how_it_ended(-15) == "killed by SIGTERM"
    assert how_it_ended(1) == "ended with code 1"
