"""Times and spans as messages tell them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def time_text(at: datetime) -> str:
    """Return the time of day of an aware time.

    >>> time_text(datetime(2026, 3, 1, 12, 3, tzinfo=UTC))
    '12:03 UTC'
    """
    return f"{at.astimezone(UTC):%H:%M} UTC"


def moment_text(at: datetime) -> str:
    """Return an aware time with its day.

    >>> moment_text(datetime(2026, 3, 1, 12, 3, tzinfo=UTC))
    '2026-03-01 12:03 UTC'
    """
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def span_text(span: timedelta) -> str:
    """Return a span in its two largest units; below a minute in seconds, and never negative.

    >>> span_text(timedelta(seconds=8)), span_text(timedelta(minutes=2)), span_text(timedelta(hours=25))
    ('8 s', '2 min', '1 d 1 h')
    """
    seconds = max(0, int(span.total_seconds()))
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return _parts(seconds, (_MINUTE, "min"), (1, "s"))
    if seconds < _DAY:
        return _parts(seconds, (_HOUR, "h"), (_MINUTE, "min"))
    return _parts(seconds, (_DAY, "d"), (_HOUR, "h"))


def _parts(seconds: int, large: tuple[int, str], small: tuple[int, str]) -> str:
    whole, rest = divmod(seconds, large[0])
    parts = [f"{whole} {large[1]}"]
    if rest // small[0]:
        parts.append(f"{rest // small[0]} {small[1]}")
    return " ".join(parts)
