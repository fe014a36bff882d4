"""Thresholds and the names of values: where a figure turns red, and what a number stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Steps = Sequence[dict[str, Any]]

GOOD = "green"
UNEASY = "orange"
BAD = "red"
NEUTRAL = "text"

#: A figure that is neither good nor bad.
PLAIN: Steps = ({"color": GOOD, "value": None},)


def bad_from(limit: float, *, uneasy_from: float | None = None) -> Steps:
    """Return steps that turn red at the limit, and orange before it where that is given."""
    middle = () if uneasy_from is None else ({"color": UNEASY, "value": uneasy_from},)
    return ({"color": GOOD, "value": None}, *middle, {"color": BAD, "value": limit})


def good_from(limit: float, *, uneasy_from: float | None = None) -> Steps:
    """Return steps that are green from the limit on and red below, with orange between where that is given."""
    middle = () if uneasy_from is None else ({"color": UNEASY, "value": uneasy_from},)
    return ({"color": BAD, "value": None}, *middle, {"color": GOOD, "value": limit})


def value_names(names: Mapping[float, tuple[str, str]]) -> list[dict[str, Any]]:
    """Return the mapping of values to texts and colours."""
    options = {
        f"{value:g}": {"color": colour, "index": index, "text": text}
        for index, (value, (text, colour)) in enumerate(names.items())
    }
    return [{"options": options, "type": "value"}]
