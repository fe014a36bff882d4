from __future__ import annotations

import pytest

from app.domain.errors import (
    AgentBusyError,
    BadAnswerError,
    DatabaseUnavailableError,
    DeadlineExceededError,
    InvalidInputError,
    MarketplaceError,
    NetworkError,
    RateLimitedError,
    RecoverableError,
    RedisUnavailableError,
    RemoteAuthError,
    RemoteRejectedError,
    RemoteServerError,
    RetryBudgetExhaustedError,
)
from app.domain.retry import NoRetry, RetryDecision, RetryPolicy

POLICY = RetryPolicy((1.0, 5.0, 30.0), max_retries=3, longest_seconds=60.0)


@pytest.mark.parametrize(
    "error",
    [
        NetworkError("x"),
        DeadlineExceededError("x"),
        RateLimitedError("x"),
        RemoteServerError("x"),
        DatabaseUnavailableError("x"),
        RedisUnavailableError("x"),
        RetryBudgetExhaustedError("x"),
        AgentBusyError("x"),
    ],
    ids=lambda error: error.code,
)
def test_recoverable_errors_are_retried(error: MarketplaceError) -> None:
    assert POLICY.decide(error, failures=0, seconds_left=100) == RetryDecision(1.0)


@pytest.mark.parametrize(
    "error",
    [InvalidInputError("x", "y"), BadAnswerError("x"), RemoteAuthError("x"), RemoteRejectedError("x")],
    ids=lambda error: error.code,
)
def test_permanent_errors_are_not_retried(error: MarketplaceError) -> None:
    assert POLICY.decide(error, failures=0, seconds_left=100) == RetryDecision(None, NoRetry.PERMANENT)


def test_no_more_retries_follow_than_are_allowed() -> None:
    assert POLICY.decide(NetworkError("x"), failures=3, seconds_left=100) == RetryDecision(None, NoRetry.RETRIES_USED)


@pytest.mark.parametrize("error", [RateLimitedError, RemoteServerError], ids=lambda error: error.code)
def test_the_other_side_may_ask_for_a_longer_pause_but_not_for_a_shorter_one(error: type[RecoverableError]) -> None:
    assert POLICY.decide(error("x", 20.0), failures=0, seconds_left=100).delay_seconds == 20.0
    assert POLICY.decide(error("x", 0.1), failures=0, seconds_left=100).delay_seconds == 1.0


@pytest.mark.parametrize(
    ("asked", "seconds_left", "explanation"),
    [
        pytest.param(50, 20, "no retry: it asked to be left alone for 50 s, and the job has 20 s left", id="job-ends"),
        pytest.param(
            90,
            100,
            "no retry: it asked to be left alone for 90 s, and no pause is longer than 60 s",
            id="no-such-pause",
        ),
        pytest.param(
            3600, 100, "no retry: it asked to be left alone for 3600 s, and the job has 100 s left", id="both"
        ),
    ],
)
def test_whoever_asks_for_more_than_there_is_is_not_called_again(
    asked: float, seconds_left: float, explanation: str
) -> None:
    decision = POLICY.decide(RateLimitedError("x", asked), failures=0, seconds_left=seconds_left)
    assert decision == RetryDecision(None, NoRetry.ASKED_TO_WAIT, explanation)


@pytest.mark.parametrize(
    ("seconds_left", "explanation"),
    [
        pytest.param(29.0, "no retry: it would come after a pause of 30 s, and the job has 29 s left", id="soon"),
        pytest.param(-5.0, "no retry: it would come after a pause of 30 s, and the job has 0 s left", id="over"),
    ],
)
def test_a_pause_that_ends_after_the_total_deadline_is_not_begun(seconds_left: float, explanation: str) -> None:
    decision = POLICY.decide(NetworkError("x"), failures=2, seconds_left=seconds_left)
    assert decision == RetryDecision(None, NoRetry.TIME_OVER, explanation)


def test_the_last_delay_repeats_when_more_retries_are_allowed() -> None:
    policy = RetryPolicy((1.0, 2.0), max_retries=4, longest_seconds=60.0)
    delays = [policy.decide(NetworkError("x"), failures=n, seconds_left=100).delay_seconds for n in range(5)]
    assert delays == [1.0, 2.0, 2.0, 2.0, None]
