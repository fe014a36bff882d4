"""The rule for the timeout of a call to an agent: a base, and seconds for each thing that makes agents slow.

docs/decisions/adaptive-timeouts.md
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def zone_of(name: str) -> tzinfo:
    """Return the time zone with this IANA name; UTC is known on machines without any list of zones too.

    Raises:
        ValueError: This machine knows no such zone.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"there is no time zone {name}") from error


@dataclass(frozen=True)
class RuleTimeout:
    """What the rule says of one call, in seconds: every addend, their sum, and the sum brought into the bounds."""

    base: float
    opportunities: float
    transitions: float
    peak: float
    total: float
    seconds: float


@dataclass(frozen=True)
class TimeoutRule:
    """The numbers of the rule.

    Peak hours are whole hours of the day in `time_zone` (IANA), from the first one up to, not including, the last one;
    they may span midnight. Two equal hours are no peak.
    """

    base_seconds: float = 30.0
    per_hundred_opportunities_seconds: float = 5.0
    per_transition_seconds: float = 5.0
    peak_seconds: float = 10.0
    peak_from_hour: int = 9
    peak_to_hour: int = 18
    time_zone: str = "UTC"
    least_seconds: float = 10.0
    most_seconds: float = 120.0

    def timeout(self, *, opportunities: int, transitions: int, at: datetime) -> RuleTimeout:
        """Return how long to wait for an agent's answer.

        Args:
            opportunities: Size of the plan that the call is about, >= 0.
            transitions: How often the agent's circuit breaker has changed its state of late, >= 0.
            at: When the call is made; aware.

        Raises:
            ValueError: A count is negative.

        >>> from datetime import UTC
        >>> evening = datetime(2026, 11, 27, 20, tzinfo=UTC)
        >>> TimeoutRule().timeout(opportunities=200, transitions=1, at=evening).seconds
        45.0
        """
        if opportunities < 0 or transitions < 0:
            raise ValueError("opportunities and transitions are counts")
        addends = (
            self.base_seconds,
            self.per_hundred_opportunities_seconds * opportunities / 100,
            self.per_transition_seconds * transitions,
            self.peak_seconds if self.is_peak(at) else 0.0,
        )
        total = sum(addends)
        return RuleTimeout(*addends, total=total, seconds=min(max(total, self.least_seconds), self.most_seconds))

    def is_peak(self, at: datetime) -> bool:
        """Tell whether this moment lies in the peak hours."""
        hour = at.astimezone(zone_of(self.time_zone)).hour
        if self.peak_from_hour <= self.peak_to_hour:
            return self.peak_from_hour <= hour < self.peak_to_hour
        return hour >= self.peak_from_hour or hour < self.peak_to_hour
