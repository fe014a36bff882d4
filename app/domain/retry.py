"""Whether a failed attempt is followed by another, and when: decided by the type of the error alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.errors import MarketplaceError, RateLimitedError, RecoverableError


@dataclass(frozen=True)
class RetryPolicy:
    """`delays_seconds[n]` is the pause after failure n + 1; the last one repeats up to `max_retries`."""

    delays_seconds: Sequence[float]
    max_retries: int
    #: No pause is longer, whatever the other side asks for, in seconds.
    longest_seconds: float

    def delay_after(self, error: MarketplaceError, *, failures: int, seconds_left: float) -> float | None:
        """Return the seconds to wait before the next attempt, or None when there is none.

        Args:
            error: What ended the attempt.
            failures: Recoverable failures before this one, >= 0.
            seconds_left: Time until the job's total deadline.

        >>> policy = RetryPolicy((1.0, 5.0, 30.0), max_retries=3, longest_seconds=60.0)
        >>> [policy.delay_after(RecoverableError(), failures=n, seconds_left=100.0) for n in range(4)]
        [1.0, 5.0, 30.0, None]
        """
        if not isinstance(error, RecoverableError) or failures >= self.max_retries:
            return None
        delay = self.delays_seconds[min(failures, len(self.delays_seconds) - 1)]
        if isinstance(error, RateLimitedError) and error.retry_after_seconds is not None:
            delay = max(delay, error.retry_after_seconds)
        delay = min(delay, self.longest_seconds)
        return delay if delay < seconds_left else None
