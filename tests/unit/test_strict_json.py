from __future__ import annotations

import pytest

from app.domain.errors import InvalidInputError, MalformedInputError
from app.domain.strict_json import MAX_DEPTH, read_json


def nested(levels: int) -> bytes:
    """Return lists, one within the other."""
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": [1, -2.5, "x", true, null]}', {"a": [1, -2.5, "x", True, None]}),
        (b"9223372036854775807", 2**63 - 1),
        (b"-9223372036854775808", -(2**63)),
        ('"verão \U0001f45f"'.encode(), "verão \U0001f45f"),
        (rb'"\ud83d\udc5f"', "\U0001f45f"),
        (b"1e-400", 0.0),
        (b" {} \n", {}),
    ],
    ids=["values", "largest", "smallest", "text", "surrogate pair", "tiny", "white space"],
)
def test_sound_json_is_read(data: bytes, value: object) -> None:
    assert read_json(data, place="body") == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[1,]",
        b"{'a': 1}",
        b"1 2",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf1",
        b'"a\nb"',
        b'{"a": 1, "a": 1}',
    ],
)
def test_what_is_no_json_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedInputError):
        read_json(data, place="body")


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"[NaN]", "0"),
        (b'{"a": {"b": [0, Infinity]}}', "a.b.1"),
        (b'{"a": 1e309}', "a"),
        (b'{"a": 9223372036854775808}', "a"),
        (b'{"a": -9223372036854775809}', "a"),
        (b'{"a": %s}' % (b"7" * 100_000), "a"),
        (b'{"a": "x\\u0000"}', "a"),
        (b'[["\\udc00"]]', "0.0"),
        (b'{"a": {"b\\u0000": 1}}', "a"),
        (b'"\\u0000"', "body"),
    ],
)
def test_what_cannot_be_kept_is_named_by_its_path(data: bytes, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_json(data, place="body")
    assert caught.value.field == field


def test_nesting_is_read_up_to_the_limit() -> None:
    read_json(nested(MAX_DEPTH), place="body")
    for levels in (MAX_DEPTH + 1, 100_000):
        with pytest.raises(InvalidInputError, match="nests deeper"):
            read_json(nested(levels), place="body")
