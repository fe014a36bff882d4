"""The OpenAPI document, laid out for a page that people read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Field:
    """One field or parameter: its name, its type in words, whether it must be given."""

    name: str
    kind: str
    required: bool


@dataclass(frozen=True)
class Call:
    """One call of the API."""

    method: str
    path: str
    summary: str
    description: str
    role: str
    parameters: tuple[Field, ...]
    body_type: str
    body: tuple[Field, ...]
    answers: tuple[tuple[str, str, tuple[Field, ...]], ...]
    problems: tuple[str, ...]


def calls_by_tag(document: Mapping[str, Any]) -> dict[str, list[Call]]:
    """Return the calls of a document under their tags, in its order."""
    calls: dict[str, list[Call]] = {tag["name"]: [] for tag in document["tags"]}
    reader = _Reader(document["components"]["schemas"])
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            calls[described["tags"][0]].append(reader.call(method.upper(), path, described))
    return {tag: found for tag, found in calls.items() if found}


class _Reader:
    """Reads operations, whose schemas refer to these."""

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self._schemas = schemas

    def call(self, method: str, path: str, described: Mapping[str, Any]) -> Call:
        body_type, body = next(iter(_content_of(described.get("requestBody", {}))), _NO_BODY)
        answers, problems = [], []
        for status, answer in described["responses"].items():
            if status.startswith("2") or "application/problem+json" not in answer["content"]:
                answers.append((status, HTTPStatus(int(status)).phrase, self._of_content(answer.get("content", {}))))
            else:
                problems.append(status)
        return Call(
            method=method,
            path=path,
            summary=described["summary"],
            description=described.get("description", ""),
            role=described["x-role"],
            parameters=tuple(
                Field(parameter["name"], self._words(parameter["schema"]), parameter.get("required", False))
                for parameter in described["parameters"]
            ),
            body_type=body_type,
            body=tuple(self._fields(body.get("schema", {}))),
            answers=tuple(answers),
            problems=tuple(problems),
        )

    def _of_content(self, content: Mapping[str, Any]) -> tuple[Field, ...]:
        return tuple(self._fields(content.get("application/json", {}).get("schema", {})))

    def _fields(self, schema: Schema) -> Iterator[Field]:
        schema = self._resolved(schema)
        for name, field in schema.get("properties", {}).items():
            yield Field(name, self._words(field), name in schema.get("required", ()))

    def _words(self, schema: Schema) -> str:
        """Return what a value is, in a few words."""
        schema = self._resolved(schema)
        if "anyOf" in schema:
            return " or ".join(self._words(choice) for choice in schema["anyOf"])
        if "enum" in schema:
            return " | ".join(map(str, schema["enum"]))
        if "const" in schema:
            return str(schema["const"])
        kind = str(schema.get("type", "any value"))
        if kind == "array":
            return f"list of {self._words(schema.get('items', {}))}"
        if kind == "object" and "title" in schema and "properties" in schema:
            inner = ", ".join(schema["properties"])
            return f"object: {inner}"
        limits = [f"{words} {schema[key]}" for key, words in _LIMITS.items() if key in schema]
        return ", ".join([str(schema.get("format", kind)), *limits])

    def _resolved(self, schema: Schema) -> Schema:
        reference = schema.get("$ref")
        return schema if reference is None else self._schemas[reference.rpartition("/")[2]]


def _content_of(body: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    content: Mapping[str, Mapping[str, Any]] = body.get("content", {})
    return content.items()


_NO_BODY: tuple[str, Mapping[str, Any]] = ("", {})

_LIMITS = {
    "minimum": "at least",
    "maximum": "at most",
    "minLength": "characters from",
    "maxLength": "characters up to",
}
