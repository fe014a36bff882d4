from __future__ import annotations

import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerting.messages.untrusted_text import cut, escaped, lines, one_line, size, units
from tests.slack_messages import HOSTILE, TEXTS, constructs, decoded

#: The first draw of a text builds tables of all characters.
_slow = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

_LENGTHS = st.integers(1, 200)


@_slow
@given(st.text(), _LENGTHS)
def test_a_cut_text_fits_and_begins_as_the_whole_one(text: str, most: int) -> None:
    short = cut(text, most)
    assert size(short) <= most
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))


@pytest.mark.parametrize(
    ("text", "most", "short"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("abc def", 5, "abc…"),
        ("abe\u0301\u0302xyz", 5, "ab…"),
        ("ab👍🏽xyz", 6, "ab…"),
        ("ab🇧🇷🇧🇷xy", 8, "ab🇧🇷…"),
        ("ab💥💥", 4, "ab…"),
        ("a<b", 4, "a…"),
        ("a<b", 6, "a<b"),
    ],
)
def test_a_text_is_cut_between_letters(text: str, most: int, short: str) -> None:
    assert cut(text, most) == short


@_slow
@given(TEXTS | st.text(), _LENGTHS)
def test_what_is_shown_can_be_seen_and_fits(text: str, most: int) -> None:
    for shown in (one_line(text, most), lines(text, most)):
        assert shown.strip()
        assert size(shown) <= most
        assert not [c for c in shown if c not in {"\n", "\t", " "} and unicodedata.category(c)[0] in {"C", "Z"}]
    assert "\n" not in one_line(text, most)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\u202egnp.exe\u202c", "gnp.exe"),
        ("a\u200bb\u2060c\ufeff", "abc"),
        ("red \x1b[31m\x07", "red [31m"),
        ("half \ud83d", "half"),
        ("one\r\n two\u2028three", "one two three"),
        ("e" + "\u0301" * 50, "e" + "\u0301" * 3),
        ("\u3164\u2800\u200e", "-"),
        ("", "-"),
    ],
)
def test_what_nobody_can_see_is_left_out(text: str, shown: str) -> None:
    assert one_line(text, 100) == shown


def test_the_lines_of_an_error_stay_but_not_a_thousand_of_them() -> None:
    assert lines("one\n  two\n", 100) == "one\n  two"
    assert lines("a\n" * 1000, 1000) == "a\n" * 19 + "…"


def test_of_a_huge_text_the_beginning_is_shown() -> None:
    assert one_line("x " * 10_000_000, 10) == "x x x x x…"
    assert one_line("\u200b" * 10_000_000 + "x", 10) == "…"


@pytest.mark.parametrize("text", HOSTILE)
def test_an_escaped_text_mentions_and_links_nothing(text: str) -> None:
    cleaned = one_line(text, 300)
    assert constructs(escaped(cleaned)) == []
    assert decoded(escaped(cleaned)) == cleaned


@_slow
@given(TEXTS, TEXTS)
def test_no_two_texts_make_markup_together(one: str, other: str) -> None:
    text = escaped(one_line(one, 100)) + " " + escaped(one_line(other, 100))
    assert "<" not in text
    assert ">" not in text


def test_the_markup_that_the_tests_look_for_is_found() -> None:
    for text in HOSTILE[:10]:
        assert constructs(text), text
    assert constructs(":boom:")
    assert units("💥") == 2
