"""JSON as strangers send it: read strictly, or refused with the place that is wrong.

Beyond what the standard library refuses: numbers that are not finite or pass 64 bits, names that appear twice, nesting
past `MAX_DEPTH`, and text that no database can hold (NUL, lone surrogates).
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any

from app.domain.errors import InvalidInputError, MalformedInputError

#: Levels of arrays and objects that one document may nest.
MAX_DEPTH = 32

_MAX_INT = 2**63 - 1
_MAX_DIGITS = 20
_SURROGATE = re.compile("[\ud800-\udfff]")


class _Refused:
    """Stands where a value was that cannot be kept, until its place is known."""

    def __init__(self, message: str) -> None:
        self.message = message


_NOT_FINITE = _Refused("is not a finite number")
_TOO_BIG = _Refused("is a number beyond 64 bits")


def read_json(data: bytes, *, place: str) -> Any:  # noqa: ANN401 -- JSON is any value
    """Return the value of one JSON document in UTF-8.

    `place` names the document in the caller's words; a fault inside it is named by its own path (`channels.0`).

    Raises:
        MalformedInputError: It is not one JSON document in UTF-8.
        InvalidInputError: It holds a value that cannot be kept; the field is its path.
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique_names,
            parse_constant=lambda _: _NOT_FINITE,
            parse_float=_finite,
            parse_int=_bounded,
        )
    except UnicodeDecodeError as error:
        raise MalformedInputError(place, f"is not UTF-8 (byte {error.start})") from None
    except RecursionError:
        raise InvalidInputError(place, f"nests deeper than {MAX_DEPTH} levels") from None
    except json.JSONDecodeError as error:
        raise MalformedInputError(
            place, f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from None
    fault = _fault(value, 0)
    if fault is not None:
        message, path = fault
        raise InvalidInputError(".".join(reversed(path)) or place, message)
    return value


def text_fault(text: str) -> str | None:
    r"""Return what keeps a text from being stored, or None.

    >>> text_fault("a\x00b")
    'contains the character NUL'
    """
    if "\x00" in text:
        return "contains the character NUL"
    if _SURROGATE.search(text):
        return "contains half of a character (a lone surrogate)"
    return None


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise MalformedInputError(counts.most_common(1)[0][0], "appears twice in one object")
    return members


def _finite(digits: str) -> float | _Refused:
    value = float(digits)
    return value if math.isfinite(value) else _NOT_FINITE


def _bounded(digits: str) -> int | _Refused:
    # Python reads thousands of digits in quadratic time: count them first.
    if len(digits) > _MAX_DIGITS:
        return _TOO_BIG
    value = int(digits)
    return value if -_MAX_INT - 1 <= value <= _MAX_INT else _TOO_BIG


def _fault(value: object, depth: int) -> tuple[str, list[str]] | None:
    """Return the first fault with its path, innermost step first; paths are only built where there is one."""
    if not isinstance(value, dict | list):
        message = value.message if isinstance(value, _Refused) else None
        if isinstance(value, str):
            message = text_fault(value)
        return (message, []) if message else None
    if depth == MAX_DEPTH:
        return f"nests deeper than {MAX_DEPTH} levels", []
    for step, member in value.items() if isinstance(value, dict) else enumerate(value):
        unfit = text_fault(step) if isinstance(step, str) else None
        if unfit:
            return f"has a name that {unfit}", []
        fault = _fault(member, depth + 1)
        if fault is not None:
            fault[1].append(str(step))
            return fault
    return None
