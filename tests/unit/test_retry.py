from __future__ import annotations

import pytest

from app.domain.errors import (
    BadAnswerError,
    DatabaseUnavailableError,
    DeadlineExceededError,
    InvalidInputError,
    MarketplaceError,
    NetworkError,
    RateLimitedError,
    RedisUnavailableError,
    RemoteAuthError,
    RemoteRejectedError,
    RemoteServerError,
)
from app.domain.retry import RetryPolicy

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
    ],
    ids=lambda error: error.code,
)
def test_recoverable_errors_are_retried(error: MarketplaceError) -> None:
    assert POLICY.delay_after(error, failures=0, seconds_left=100) == 1.0


@pytest.mark.parametrize(
    "error",
    [InvalidInputError("x", "y"), BadAnswerError("x"), RemoteAuthError("x"), RemoteRejectedError("x")],
    ids=lambda error: error.code,
)
def test_permanent_errors_are_not_retried(error: MarketplaceError) -> None:
    assert POLICY.delay_after(error, failures=0, seconds_left=100) is None


def test_an_agent_may_ask_for_a_longer_pause_but_not_for_an_endless_one() -> None:
    assert POLICY.delay_after(RateLimitedError("x", 20.0), failures=0, seconds_left=100) == 20.0
    assert POLICY.delay_after(RateLimitedError("x", 0.1), failures=0, seconds_left=100) == 1.0
    assert POLICY.delay_after(RateLimitedError("x", 3600.0), failures=0, seconds_left=100) == 60.0


def test_a_pause_that_ends_after_the_total_deadline_is_not_begun() -> None:
    assert POLICY.delay_after(NetworkError("x"), failures=2, seconds_left=29.0) is None


def test_the_last_delay_repeats_when_more_retries_are_allowed() -> None:
    policy = RetryPolicy((1.0, 2.0), max_retries=4, longest_seconds=60.0)
    delays = [policy.delay_after(NetworkError("x"), failures=n, seconds_left=100) for n in range(5)]
    assert delays == [1.0, 2.0, 2.0, 2.0, None]
