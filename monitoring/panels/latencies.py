"""Percentiles, as every panel of latencies draws them."""

from __future__ import annotations

from collections.abc import Iterable

from app.metrics import Metric
from monitoring.panels.scoped import quantile_of
from monitoring.panels.targets import PTarget, over_time

#: Story 4.6 names these three.
PERCENTILES = {"P50": 0.5, "P95": 0.95, "P99": 0.99}


def percentiles(what: Metric, by: Iterable[str] = (), **labels: str) -> list[PTarget]:
    """Return a query for each percentile of a histogram, with exemplars; a legend names the values of `by`."""
    by = tuple(by)
    legend = "".join(f" {{{{{label}}}}}" for label in by)
    return [
        over_time(quantile_of(share, by, what, **labels), f"{name}{legend}", exemplars=True)
        for name, share in PERCENTILES.items()
    ]
