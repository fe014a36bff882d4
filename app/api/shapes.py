"""Shapes of JSON at the edge: camelCase outside, snake_case inside, nothing unknown let in."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from app.domain.errors import InvalidInputError
from app.domain.identifiers import parse_id
from app.domain.spans import parse_span
from app.storage.paging import MAX_LIMIT, Cursor, PageRequest
from app.uploads import MAX_TEXT

_CONTROL_LINE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_TEXT = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_INTEGER = re.compile(r"-?[0-9]{1,9}", re.ASCII)


class Question(BaseModel):
    """What a caller sends; only by the names that the API documents."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


class Answer(BaseModel):
    """What a caller gets."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _without(pattern: re.Pattern[str]) -> AfterValidator:
    def check(text: str) -> str:
        if pattern.search(text):
            raise ValueError("contains control characters")
        return text

    return AfterValidator(check)


def _read_id(value: object) -> UUID:
    try:
        return parse_id("", value if isinstance(value, str) else "")
    except InvalidInputError as error:
        raise ValueError(error.message) from None


def _read_span(value: object) -> int:
    try:
        return parse_span("", value if isinstance(value, str) else "")
    except InvalidInputError as error:
        raise ValueError(error.message) from None


def read_integer(value: object) -> int:
    """Return the whole number that a parameter of a query holds.

    Raises:
        ValueError: It holds none.
    """
    if not isinstance(value, str) or not _INTEGER.fullmatch(value):
        raise ValueError("is not a whole number")
    return int(value)


#: `2026-11-24T22:51:06.638Z`.
UtcTime = Annotated[
    datetime, PlainSerializer(_utc, when_used="json"), WithJsonSchema({"type": "string", "format": "date-time"})
]

Id = Annotated[UUID, BeforeValidator(_read_id)]

#: A span of time, in seconds: `30s`, `15m`, `1h`, `7d`.
Span = Annotated[int, BeforeValidator(_read_span), WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,9}[smhd]$"})]

#: One line for people.
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300), _without(_CONTROL_LINE)]

#: A few lines for people.
Reason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000), _without(_CONTROL_TEXT)
]

#: Text of many lines, for agents.
LongText = Annotated[str, StringConstraints(max_length=MAX_TEXT), _without(_CONTROL_TEXT)]

Channel = Annotated[str, StringConstraints(min_length=1, max_length=63)]
Channels = Annotated[list[Channel], Field(min_length=1, max_length=50)]

JsonObject = dict[str, Any]


class PageQuestion(Question):
    """Which page of a list is wanted."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), BeforeValidator(read_integer)] = 50
    cursor: Annotated[str, Field(max_length=64)] | None = None

    def page(self) -> PageRequest:
        """Return the page to fetch.

        Raises:
            InvalidInputError: The cursor is not one that a list gave.
        """
        return PageRequest(self.limit, None if self.cursor is None else Cursor.decode(self.cursor))
