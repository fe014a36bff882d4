"""Bands of the number of opportunities in a plan: what metrics may tell of it, for a number has no end of values."""

from __future__ import annotations

from enum import StrEnum


class PlanSize(StrEnum):
    """How large a plan is."""

    NONE = "none"
    """It has no opportunities, or has not been analysed yet."""
    UP_TO_10 = "1-10"
    UP_TO_50 = "11-50"
    UP_TO_100 = "51-100"
    OVER_100 = "over_100"


def plan_size(opportunities: int) -> PlanSize:
    """Return the band of a plan with so many opportunities (>= 0).

    >>> plan_size(0), plan_size(10), plan_size(101)
    (<PlanSize.NONE: 'none'>, <PlanSize.UP_TO_10: '1-10'>, <PlanSize.OVER_100: 'over_100'>)
    """
    for size, most in _MOST.items():
        if opportunities <= most:
            return size
    return PlanSize.OVER_100


_MOST = {PlanSize.NONE: 0, PlanSize.UP_TO_10: 10, PlanSize.UP_TO_50: 50, PlanSize.UP_TO_100: 100}
