"""Spans of time as people write them: `30s`, `15m`, `1h`, `7d`."""

from __future__ import annotations

import re

from app.domain.errors import InvalidInputError

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MAX_SECONDS = 366 * 86_400
_SPAN = re.compile(r"(\d{1,9})([smhd])", re.ASCII)


def parse_span(field: str, text: str) -> int:
    """Return the seconds of a span, 1 to 366 days.

    Raises:
        InvalidInputError: It is none.

    >>> parse_span("since", "15m")
    900
    """
    match = _SPAN.fullmatch(text)
    seconds = int(match[1]) * _UNIT_SECONDS[match[2]] if match else 0
    if not 0 < seconds <= _MAX_SECONDS:
        raise InvalidInputError(field, f"{text[:60]!r} is no span of time: write 30s, 15m, 1h or 7d, up to 366d")
    return seconds


def format_span(seconds: float) -> str:
    """Return a span as people say it, in its largest whole unit, rounded down.

    >>> format_span(5400), format_span(59.9)
    ('1h', '59s')
    """
    unit = next((unit for unit in "dhm" if seconds >= _UNIT_SECONDS[unit]), "s")
    return f"{int(seconds // _UNIT_SECONDS[unit])}{unit}"
