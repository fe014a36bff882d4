"""Untrusted text for Slack: cleaned of what nobody can see, cut to what fits, and defused where Slack reads markup.

docs/decisions/untrusted-text-in-slack.md says which text goes where.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

#: What stands where text was left out.
ELLIPSIS = "…"

#: Letters that are drawn as nothing; the other invisible characters are known by their category.
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")

#: Controls, formats (zero-width ones and those that turn the direction of text), surrogates, private and unassigned.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})

_MARKS = frozenset({"Mn", "Mc", "Me"})

#: More marks than this on one letter grow into the lines above and below.
_MOST_MARKS = 3

#: Of text that is far too long only the beginning is read: it may be megabytes, and most of it is cut off anyway.
_READ_AHEAD = 8

_SIZE = {"&": len("&amp;"), "<": len("&lt;"), ">": len("&gt;")}

#: Where Slack would find a link, a mention, a channel or an emoji by itself; a word joiner behind it is not drawn.
_AUTOMATIC = re.compile(r"(?<=[:/@#])(?=[\w/+-])|(?<=\w\.)(?=\w)")
_JOINER = "\u2060"


def units(text: str) -> int:
    """Return the length of a text in UTF-16 units, as Slack may count it.

    >>> units("a💥")
    3
    """
    return sum(2 if character > "\uffff" else 1 for character in text)


def size(text: str) -> int:
    """Return the most that a text may count for: in UTF-16 units, and with `&`, `<` and `>` escaped.

    >>> size("a"), size("💥"), size("<")
    (1, 2, 4)
    """
    return sum(_size(character) for character in text)


def cut(text: str, most: int) -> str:
    """Return the text, or its beginning and `…`, so that `size` of it is at most `most` (>= 1).

    A letter keeps its marks, an emoji its colour, a flag both of its halves.

    >>> cut("one two", 5)
    'one…'
    """
    if len(text) <= most and size(text) <= most:
        return text
    left = most - size(ELLIPSIS)
    end = 0
    while end < len(text) and _size(text[end]) <= left:
        left -= _size(text[end])
        end += 1
    while end and _belongs(text, end):
        end -= 1
    return text[:end].rstrip() + ELLIPSIS


def one_line(text: str, most: int) -> str:
    r"""Return the text on one line, cleaned and at most `most` long; `-` if nothing of it can be seen.

    >>> one_line("one\n\u202e two\x00", 50)
    'one two'
    """
    return cut(" ".join(_cleaned(text, most).split()), most) or "-"


def lines(text: str, most: int, *, most_lines: int = 20) -> str:
    r"""Return the text with its line breaks, cleaned and at most `most` long; `-` if nothing of it can be seen.

    >>> lines("one\r\n\n\n\ntwo ", 50)
    'one\n\ntwo'
    """
    kept = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in _cleaned(text, most).split("\n"))).strip("\n")
    shown = kept.split("\n", most_lines)
    if len(shown) > most_lines:
        kept = "\n".join([*shown[: most_lines - 1], ELLIPSIS])
    return cut(kept, most) or "-"


def escaped(text: str) -> str:
    """Return the text for a place in which Slack reads markup, so that it reads none, and links nothing by itself.

    Slack decodes these three entities and no others: https://docs.slack.dev/messaging/formatting-message-text

    >>> escaped("<!here> & all")
    '&lt;!here&gt; &amp; all'
    """
    apart = _AUTOMATIC.sub(_JOINER, text)
    return apart.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _size(character: str) -> int:
    return _SIZE.get(character, 2 if character > "\uffff" else 1)


def _cleaned(text: str, most: int) -> str:
    begin = text[: _READ_AHEAD * most]
    seen = "".join(_seen(begin.replace("\r\n", "\n").replace("\r", "\n")))
    return seen if len(begin) == len(text) else seen + ELLIPSIS


def _seen(text: Iterable[str]) -> Iterator[str]:
    """Yield the characters that are drawn; marks that pile up are left out."""
    marks = _MOST_MARKS  # a mark stands on nothing at the beginning, and after a space
    for character in text:
        category = unicodedata.category(character)
        if character in "\n\t" or category.startswith("Z"):
            marks = _MOST_MARKS
            yield {"Zs": " ", "Zl": "\n", "Zp": "\n"}.get(category, character)
        elif category in _MARKS:
            marks += 1
            if marks <= _MOST_MARKS and character not in _FILLERS:
                yield character
        elif category not in _INVISIBLE and character not in _FILLERS:
            marks = 0
            yield character


def _belongs(text: str, at: int) -> bool:
    """Whether the character at this place is drawn together with the one before it."""
    if at >= len(text):
        return False
    character = text[at]
    if unicodedata.category(character) in _MARKS or "\U0001f3fb" <= character <= "\U0001f3ff":
        return True
    flags = 0
    while flags < at and _is_flag(text[at - 1 - flags]):
        flags += 1
    return _is_flag(character) and flags % 2 == 1


def _is_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
