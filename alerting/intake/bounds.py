"""Bounds on what strangers send: what is kept of texts and labels, however long they are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from app.domain.plain_text import excerpt, plain_text

#: Characters of one label's value, of its name, and labels of one alert.
_LONGEST_VALUE = 200
_LONGEST_NAME = 100
_MOST_LABELS = 40
#: Characters of a text over several lines.
_LONGEST_TEXT = 4000

_DIGEST_LENGTH = 12


def bounded_line(text: str, length: int = _LONGEST_VALUE) -> str:
    r"""Return the text on one line; one that was cut ends in a digest of all of it, so that two stay two.

    >>> bounded_line("one\ntwo")
    'one two'
    >>> len(bounded_line("x" * 100_000)), bounded_line("x" * 1000) == bounded_line("x" * 1001)
    (200, False)
    """
    if len(text) <= length:
        return excerpt(text, length) if text else ""
    return f"{excerpt(text, length - _DIGEST_LENGTH - 1)}~{_digest(text)}"


def bounded_text(text: str) -> str:
    """Return the text without control characters and with an end."""
    return plain_text(text[:_LONGEST_TEXT])


def bounded_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels, bounded in number and length; of very many, the first by name, and a digest of the others."""
    names = sorted(labels)
    kept = {bounded_line(name, _LONGEST_NAME): bounded_line(labels[name]) for name in names[:_MOST_LABELS]}
    if len(names) > _MOST_LABELS:
        kept["other_labels"] = _digest(repr([(name, labels[name]) for name in names[_MOST_LABELS:]]))
    return kept


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_DIGEST_LENGTH]
