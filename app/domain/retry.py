"""Whether a failed attempt is followed by another, and when: decided by the type of the error alone.

And when one follows that was put off before it had begun (docs/decisions/bulkhead.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.domain.errors import MarketplaceError, RecoverableError

#: Shortest and longest pause of a job whose agent is busy, in seconds.
SHORTEST_POSTPONEMENT_SECONDS = 0.25
LONGEST_POSTPONEMENT_SECONDS = 15.0


class NoRetry(StrEnum):
    """Why no attempt follows."""

    PERMANENT = "permanent"
    """The same call would fail again."""
    RETRIES_USED = "retries_used"
    """There were as many as are allowed."""
    TIME_OVER = "time_over"
    """The pause would end after the job's total time."""
    ASKED_TO_WAIT = "asked_to_wait"
    """The other side asked for a longer pause than there is: calling it earlier would not be fair."""


@dataclass(frozen=True)
class RetryDecision:
    """The pause before the next attempt in seconds; or None, and why there is none.

    `explanation` is what people need to know beside the error, and empty when the error says it all.
    """

    delay_seconds: float | None
    no_retry: NoRetry | None = None
    explanation: str = ""


@dataclass(frozen=True)
class RetryPolicy:
    """`delays_seconds[n]` is the pause after failure n + 1; the last one repeats up to `max_retries`."""

    delays_seconds: Sequence[float]
    max_retries: int
    #: No pause is longer, in seconds.
    longest_seconds: float

    def decide(self, error: MarketplaceError, *, failures: int, seconds_left: float) -> RetryDecision:
        """Return whether and when another attempt follows; the pauses are exact, without jitter.

        Args:
            error: What ended the attempt.
            failures: Recoverable failures before this one, >= 0.
            seconds_left: Time until the job's total deadline; may be negative.

        Source: docs/decisions/what-is-retried.md.

        >>> policy = RetryPolicy((1.0, 5.0, 30.0), max_retries=3, longest_seconds=60.0)
        >>> [policy.decide(RecoverableError(), failures=n, seconds_left=100.0).delay_seconds for n in range(4)]
        [1.0, 5.0, 30.0, None]
        """
        if not isinstance(error, RecoverableError):
            return RetryDecision(None, NoRetry.PERMANENT)
        if failures >= self.max_retries:
            return RetryDecision(None, NoRetry.RETRIES_USED)
        delay = min(self.delays_seconds[min(failures, len(self.delays_seconds) - 1)], self.longest_seconds)
        left = f"the job has {max(0.0, seconds_left):.0f} s left"
        asked = error.retry_after_seconds or 0.0
        if asked > delay:
            if asked > self.longest_seconds or asked >= seconds_left:
                limit = f"no pause is longer than {self.longest_seconds:.0f} s" if asked < seconds_left else left
                return RetryDecision(
                    None, NoRetry.ASKED_TO_WAIT, f"no retry: it asked to be left alone for {asked:.0f} s, and {limit}"
                )
            delay = asked
        if delay >= seconds_left:
            return RetryDecision(
                None, NoRetry.TIME_OVER, f"no retry: it would come after a pause of {delay:g} s, and {left}"
            )
        return RetryDecision(delay)


def postponement_seconds(turn_seconds: float, *, seconds_left: float, attempt_seconds: float) -> float | None:
    """Return the pause of a job whose agent is busy; None when a whole attempt would not fit in after the longest one.

    Args:
        turn_seconds: After how long it may be the job's turn to call the agent, >= 0.
        seconds_left: Time until the job's total deadline; may be negative.
        attempt_seconds: Time limit of one attempt.

    >>> [postponement_seconds(turn, seconds_left=100, attempt_seconds=10) for turn in (0, 3, 60)]
    [0.25, 3, 15.0]
    >>> postponement_seconds(3, seconds_left=20, attempt_seconds=10)
    """
    if seconds_left < LONGEST_POSTPONEMENT_SECONDS + attempt_seconds:
        return None
    return min(max(turn_seconds, SHORTEST_POSTPONEMENT_SECONDS), LONGEST_POSTPONEMENT_SECONDS)
