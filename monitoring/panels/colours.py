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


def bad_from(limit: float) -> Steps:
    """Return steps that turn red at the limit."""
    return ({"color": GOOD, "value": None}, {"color": BAD, "value": limit})


def uneasy_from(limit: float) -> Steps:
    """Return steps that turn orange at the limit: worth a look, but no fault by itself."""
    return ({"color": GOOD, "value": None}, {"color": UNEASY, "value": limit})


def good_from(limit: float, *, poor_from: float | None = None) -> Steps:
    """Return steps that are green from the limit on and red below, with orange between where that is given."""
    middle = () if poor_from is None else ({"color": UNEASY, "value": poor_from},)
    return ({"color": BAD, "value": None}, *middle, {"color": GOOD, "value": limit})


def value_names(names: Mapping[float, tuple[str, str]]) -> list[dict[str, Any]]:
    """Return the mapping of values to texts and colours."""
    options = {
        f"{value:g}": {"color": colour, "index": index, "text": text}
        for index, (value, (text, colour)) in enumerate(names.items())
    }
    return [{"options": options, "type": "value"}]
