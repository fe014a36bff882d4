"""The time that a page shows, and the steps in it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from app.domain.errors import InvalidInputError
from app.domain.spans import parse_span
from monitoring.rendering.prometheus import MAX_POINTS
from monitoring.rendering.scale import time_text

#: Steps in seconds that Grafana rounds to, from `rangeUtil.roundInterval` of grafana-data.
_STEPS = (
    *(1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800),
    *(3600, 7200, 10_800, 21_600, 43_200, 86_400, 604_800),
)
_RELATIVE = re.compile(r"now(?:-(\d+[smhdw]))?(?:/[smhdw])?")


@dataclass(frozen=True)
class TimeRange:
    """From `start` to `end`, in Unix seconds, `start` < `end`.

    Args:
        start: First moment.
        end: Last moment; instants are asked for here.
        scrape_seconds: How often Prometheus scrapes: no step is shorter.
    """

    start: float
    end: float
    scrape_seconds: float = 15.0

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start

    def step(self, points: int, *, least: float = 0.0) -> float:
        """Return the step, in seconds, of at most about so many points, and never more than Prometheus allows."""
        floor = max(self.scrape_seconds, least, self.seconds / (MAX_POINTS - 2))
        wanted = max(self.seconds / max(points, 1), floor)
        return float(next((step for step in _STEPS if step >= wanted), math.ceil(wanted / 86_400) * 86_400))

    def aligned(self, step: float) -> tuple[float, float]:
        """Return start and end on multiples of the step, so that a later page has the same points."""
        return math.floor(self.start / step) * step, math.floor(self.end / step) * step

    def rate_interval(self, step: float) -> float:
        """Return `$__rate_interval` in seconds: max(step + scrape interval, 4 scrape intervals).

        Source: https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/.

        >>> TimeRange(0.0, 3600.0).rate_interval(15.0)
        60.0
        """
        return max(step + self.scrape_seconds, 4 * self.scrape_seconds)

    @property
    def text(self) -> str:
        """The range as a person reads it."""
        return f"{time_text(self.start)} to {time_text(self.end)} UTC"


def time_range(begin: str, end: str, *, now: float, scrape_seconds: float) -> TimeRange:
    """Return the range between two texts: a span before the end (`24h`), `now`, `now-1h`, or an ISO time.

    Raises:
        InvalidInputError: One is none of these, or the end is not after the start.
    """
    last = _moment("to", end, now)
    span = re.fullmatch(r"\d+[smhdw]", begin)
    first = last - _span("from", begin) if span else _moment("from", begin, now)
    if first >= last:
        raise InvalidInputError("from", f"{begin!r} is not before {end!r}")
    return TimeRange(first, last, scrape_seconds)


def _moment(field: str, text: str, now: float) -> float:
    relative = _RELATIVE.fullmatch(text)
    if relative:
        return now - (_span(field, relative[1]) if relative[1] else 0)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInputError(
            field, f"{text[:60]!r} is no time: write 24h, now, now-1h or 2026-01-31T12:00:00"
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _span(field: str, text: str) -> int:
    if text.endswith("w"):
        return parse_span(field, f"{int(text[:-1]) * 7}d")
    return parse_span(field, text)


def seconds_of(text: str) -> float:
    """Return the seconds of a step in the JSON, as `30s`, `>1m` or `500ms`; 0 for what is none.

    >>> seconds_of(">1m"), seconds_of("500ms"), seconds_of("")
    (60.0, 0.5, 0.0)
    """
    match = re.fullmatch(r">?\s*(\d+(?:\.\d+)?)(ms|s|m|h|d)?", text)
    if not match:
        return 0.0
    return float(match[1]) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, None: 1}[match[2]]


def span_text(seconds: float) -> str:
    """Return seconds as PromQL writes a duration.

    >>> span_text(90.0), span_text(7200.0), span_text(0.5)
    ('90s', '2h', '500ms')
    """
    if seconds < 1:
        return f"{max(round(seconds * 1000), 1)}ms"
    whole = round(seconds)
    for size, name in ((86_400, "d"), (3600, "h"), (60, "m")):
        if whole % size == 0:
            return f"{whole // size}{name}"
    return f"{whole}s"
