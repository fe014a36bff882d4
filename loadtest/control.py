"""What a fake service is told while it runs: bodies that are read strictly, so that a typo cannot pass for a fault."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping


class ControlError(Exception):
    """A behaviour that nobody can have; `field` names what is wrong with it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


def parsed(body: bytes) -> object:
    """Return what the live control was sent; raises `ControlError` when it is no JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ControlError("body", "must be a JSON object") from None


def known_fields(data: object, names: Iterable[str]) -> dict[str, object]:
    """Return `data` as an object that has no other fields than these; raises `ControlError`."""
    if not isinstance(data, dict):
        raise ControlError("body", "must be a JSON object")
    known = tuple(names)
    for field in data:
        if field not in known:
            raise ControlError(str(field), f"is unknown; there are {', '.join(known)}")
    return data


def number(data: Mapping[str, object], field: str, otherwise: float, *, highest: float) -> float:
    """Return a number from 0 to `highest`; raises `ControlError`."""
    value = data.get(field)
    if value is None:
        return otherwise
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= highest:
        raise ControlError(field, f"must be a number from 0 to {highest:g}")
    return float(value)


def whole_number(data: Mapping[str, object], field: str, otherwise: int) -> int:
    """Return a whole number that is not negative; raises `ControlError`."""
    value = data.get(field)
    if value is None:
        return otherwise
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ControlError(field, "must be a whole number, not negative")
    return value
