"""Fields of JSON objects, read as what was meant; every repair leaves a note.

Not noted, for nothing is lost: white space around texts, the case of names, `expected_impact` for `expectedImpact`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from pydantic.alias_generators import to_camel

from app.domain.errors import InvalidInputError
from app.domain.plain_text import excerpt, plain_text
from app.domain.strict_json import MAX_DEPTH

#: Notes that one reading keeps; the last one counts those that it does not.
MAX_NOTES = 50

#: Characters of foreign text in a note or in the name of a place.
_EXCERPT = 40

#: As many as the largest float has; Python refuses to write out numbers that are much longer.
_LONGEST_NUMBER_BITS = 1024

#: A place within JSON: the place around it, and its key there.
_Chain: TypeAlias = "tuple[_Chain | None, object]"

_DIGITS = re.compile(r"\d{1,9}")


class Notes:
    """What had to be repaired, and where; `root` is where the whole stands in the caller's words."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._kept: list[str] = []
        self._more = 0

    def add(self, place: str, repair: str) -> None:
        """Note one repair."""
        if len(self._kept) < MAX_NOTES:
            self._kept.append(f"{place}: {repair}")
        else:
            self._more += 1

    def all(self) -> tuple[str, ...]:
        """Return the notes in their order, at most `MAX_NOTES`."""
        if not self._more:
            return tuple(self._kept)
        return (*self._kept[:-1], f"and {self._more + 1} more repairs")

    def refusal(self, place: str, message: str) -> InvalidInputError:
        """Return the error for what cannot be repaired."""
        return InvalidInputError(below(self._root, place) if place else self._root, message)


class Fields:
    """The fields of one JSON object that stands at `place`.

    `names` maps squeezed names (`expectedimpact`) to the field that each one means. What is not in it is dropped.
    """

    def __init__(self, data: Mapping[object, object], place: str, names: Mapping[str, str], notes: Notes) -> None:
        self.place = place
        self.notes = notes
        self._values: dict[str, object] = {}
        for key, value in data.items():
            name = names.get(squeezed(str(key)))
            if name is None or name in self._values:
                notes.add(place or "plan", f"field {quoted(str(key))} {'given twice' if name else 'unknown'}, dropped")
            else:
                self._values[name] = value

    def at(self, field: str) -> str:
        """Return the place of a field, in the names of our JSON."""
        return below(self.place, to_camel(field))

    def text(self, field: str, longest: int) -> str:
        """Return a text of any number of lines, at most `longest` characters; empty when there is none."""
        return read_text(self._values.get(field), self.at(field), longest, self.notes)

    def line(self, field: str, longest: int) -> str:
        """Return a text on one line, at most `longest` characters; empty when there is none."""
        return read_text(self._values.get(field), self.at(field), longest, self.notes, one_line=True)

    def number(self, field: str, highest: int) -> int | None:
        """Return a whole number from 1 to `highest`, or None when there is none."""
        value = self._values.get(field)
        if isinstance(value, str) and (digits := _DIGITS.search(value)):
            number = int(digits.group())
        elif isinstance(value, float) and value.is_integer():
            number = int(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            number = value
        else:
            return None
        if not 1 <= number <= highest:
            return None
        if not isinstance(value, int):
            self.notes.add(self.at(field), f"{_shown(value)} read as {number}")
        return number

    def has(self, field: str) -> bool:
        """Tell whether the field is there and not null."""
        return self._values.get(field) is not None

    def items(self, field: str, most: int) -> Iterator[tuple[str, object]]:
        """Yield place and value of each item of a list, at most `most`.

        Raises:
            InvalidInputError: The field is neither a list nor anything that could be meant as one.
        """
        place = self.at(field)
        if field not in self._values:
            return
        items, repair = _as_list(self._values[field])
        if items is None:
            raise self.notes.refusal(place, repair)
        if repair:
            self.notes.add(place, repair)
        if len(items) > most:
            self.notes.add(place, f"{len(items)} items, cut to {most}")
        for index, item in enumerate(items[:most]):
            yield below(place, index), item


def read_text(value: object, place: str, longest: int, notes: Notes, *, one_line: bool = False) -> str:
    """Return a value as text: trimmed, without control characters, at most `longest` characters."""
    if isinstance(value, str):
        raw = value
    elif value is None:
        return ""
    else:
        raw = _written_out(value)
        notes.add(place, f"{_shown(value)} read as text")
    text = plain_text(raw)
    if text != raw.replace("\r", ""):
        notes.add(place, "control characters removed")
    text = " ".join(text.split()) if one_line else text.strip()
    if len(text) <= longest:
        return text
    notes.add(place, f"{len(text)} characters, cut to {longest}")
    return text[:longest].rstrip()


def check_json(data: Mapping[object, object], place: str) -> None:
    """Refuse what JSON cannot hold or nobody would write.

    Raises:
        InvalidInputError: A number is not finite or enormous, or the nesting is deeper than `MAX_DEPTH`; the field is
            its place.
    """
    # Places are kept as chains and written out for an error only: an answer may have a million values.
    waiting: list[tuple[Mapping[object, object] | Sequence[object], _Chain, int]] = [(data, (None, place), 1)]
    while waiting:
        values, at, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise InvalidInputError(_written(at), f"is nested deeper than {MAX_DEPTH} levels")
        for key, value in values.items() if isinstance(values, Mapping) else enumerate(values):
            if isinstance(value, dict | list | tuple):
                waiting.append((value, (at, key), depth + 1))
            elif isinstance(value, float | int) and (problem := _problem_of_number(value)):
                raise InvalidInputError(_written((at, key)), problem)


def _problem_of_number(number: float) -> str:
    if isinstance(number, int):
        return "must be a number of ordinary size" if number.bit_length() > _LONGEST_NUMBER_BITS else ""
    return "" if math.isfinite(number) else "must be a finite number"


def _written(chain: _Chain | None) -> str:
    keys: list[object] = []
    while chain is not None:
        chain, key = chain
        keys.append(key)
    root, *rest = reversed(keys)
    return ".".join([str(root), *(excerpt(str(key), _EXCERPT) for key in rest)])


def below(place: str, key: str | int) -> str:
    """Return the place of what stands under `key`."""
    return f"{place}.{key}" if place else str(key)


def squeezed(name: str) -> str:
    """Return the name of a field without case, underscores, hyphens and spaces."""
    return re.sub(r"[\s_-]", "", name).casefold()


def quoted(text: str) -> str:
    """Return the beginning of a foreign text, in quotes."""
    return f'"{excerpt(text, _EXCERPT)}"'


def _as_list(value: object) -> tuple[Sequence[object] | None, str]:
    """Return the list that was meant, and the repair that it took; or None, and what is wrong."""
    if isinstance(value, list | tuple):
        return value, ""
    if value is None:
        return (), "null, read as an empty list"
    if isinstance(value, str):
        return [line for line in value.splitlines() if line.strip()], "a text, each line read as an item"
    if isinstance(value, Mapping):
        if value and all(isinstance(item, Mapping) for item in value.values()):
            return list(value.values()), "an object of objects, read as a list"
        return [value], "an object, read as a list of one"
    return None, "must be a list"


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    return quoted(value) if isinstance(value, str) else excerpt(_written_out(value), _EXCERPT)


def _written_out(value: object) -> str:
    """Return any JSON value as text that a person can read."""
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {_written_out(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return "\n".join(_written_out(item) for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    return "" if value is None else str(value)
