"""Text from outside, made safe to store: databases refuse NUL, encoders refuse lone surrogates."""

from __future__ import annotations

import re

#: Control characters but line break and tab, and surrogates, which in a Python string are always alone.
_UNWANTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def plain_text(text: str) -> str:
    r"""Return the text without control characters and lone surrogates; line breaks and tabs stay.

    >>> plain_text("one\x00\r\ntwo")
    'one\ntwo'
    """
    return _UNWANTED.sub("", text)


def excerpt(text: str, length: int) -> str:
    r"""Return the text on one line and at most `length` (>= 1) characters long, for notes, errors and logs.

    >>> excerpt("one\n two three", 10)
    'one two t…'
    """
    # What is cut off later need not be cleaned: the text may be megabytes long.
    line = " ".join(plain_text(text[: 4 * length]).split())
    return line if len(line) <= length and len(text) <= 4 * length else line[: length - 1] + "…"
