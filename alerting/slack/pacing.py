"""How fast messages leave, and how long to wait after a failure; pure, on times that the caller gives."""

from __future__ import annotations

from random import Random

#: Slack allows about one message a second and channel, and short bursts of more.
#: https://docs.slack.dev/apis/web-api/rate-limits
_BURST = 3.0

#: Seconds after the first, second, ... failure in a row; the last one repeats.
BACKOFF_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)

#: A person has to mend a setting; asking more often helps nobody.
MISCONFIGURED_SECONDS = 60.0

#: Longest wait that `Retry-After` is believed.
LONGEST_WAIT_SECONDS = 600.0

#: Share by which a pause is longer or shorter by chance, so that routes that failed together do not return together.
_JITTER = 0.2


class Pace:
    """A bucket of tokens: `per_second` come in, a message takes one."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._tokens = _BURST
        self._at: float | None = None

    def wait_seconds(self, now: float) -> float:
        """Return for how long a message must wait; 0 when it may leave."""
        self._fill(now)
        return max(0.0, (1.0 - self._tokens) / self._per_second)

    def take(self, now: float) -> None:
        """Count a message that leaves."""
        self._fill(now)
        self._tokens -= 1.0

    def empty(self) -> None:
        """Allow no burst for now: Slack has said that it was too much."""
        self._tokens = min(self._tokens, 0.0)

    def _fill(self, now: float) -> None:
        # A clock that was set back adds nothing, and is believed from then on.
        passed = 0.0 if self._at is None else max(0.0, now - self._at)
        # The rounding of times must not leave a token a hair short of whole.
        self._tokens = min(_BURST, self._tokens + passed * self._per_second + 1e-9)
        self._at = now


def backoff_seconds(failures: int, random: Random, *, asked: float | None = None) -> float:
    """Return how long to wait after so many failures in a row (>= 1), at least as long as the other side asked for."""
    pause = BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS)) - 1] * random.uniform(1 - _JITTER, 1 + _JITTER)
    return max(pause, min(asked or 0.0, LONGEST_WAIT_SECONDS))
