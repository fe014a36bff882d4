"""Points in time by which work must be done, on this process's monotonic clock."""

from __future__ import annotations

import time
from dataclasses import dataclass

from app.domain.errors import DeadlineExceededError


@dataclass(frozen=True)
class Deadline:
    """A moment on `time.monotonic()`, in seconds; no wall clock can move it."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline that lies `seconds` (>= 0) ahead."""
        return cls(time.monotonic() + seconds)

    @property
    def remaining_seconds(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - time.monotonic())

    @property
    def expired(self) -> bool:
        """Whether no time is left."""
        return time.monotonic() >= self.at

    def within(self, seconds: float) -> Deadline:
        """Return the earlier of this deadline and the one that lies `seconds` ahead."""
        return Deadline(min(self.at, time.monotonic() + seconds))

    def check(self) -> None:
        """Raise when no time is left.

        Raises:
            DeadlineExceededError: The time is up.
        """
        if self.expired:
            raise DeadlineExceededError("the time for this attempt is up")
