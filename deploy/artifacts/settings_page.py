"""docs/reference/settings.md, from `app.settings`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from app.settings import COMMON_NAMES, PREFIX, Group, Settings
from deploy.artifacts.markdown import code, first_line, number, page, table

_INTRODUCTION = f"""\
Every setting is a variable of the environment, read once when a process starts.
`{PREFIX}<GROUP>__<FIELD>_FILE` names a file that holds the value, as container secrets come.
An unknown `{PREFIX}*` name, or a value out of range, stops the start with one line per problem and prints no value.
`marketplace config show` prints what is in force and where each value comes from."""


def settings_page() -> str:
    """Return the page."""
    common = table(
        ["Name", "Is the same as"],
        [[code(name), code(_variable(group, field))] for name, (group, field) in COMMON_NAMES.items()],
    )
    return page(
        "Settings",
        _INTRODUCTION,
        "## Common names\n\nThese names work too; our own names win over them.\n\n" + common,
        *(_section(name, info) for name, info in Settings.model_fields.items()),
    )


def _section(group_name: str, info: FieldInfo) -> str:
    group = info.annotation
    assert isinstance(group, type)  # noqa: S101 -- every field of Settings is a group
    assert issubclass(group, Group)  # noqa: S101 -- as above
    document = group.model_json_schema()
    schema = {name: _resolved(part, document.get("$defs", {})) for name, part in document["properties"].items()}
    rows = [
        [
            code(_variable(group_name, name)),
            _type(schema[name]),
            _default(field.default),
            " ".join((field.description or "").split()),
        ]
        for name, field in group.model_fields.items()
    ]
    settings = table(["Variable", "Type", "Default", "Meaning"], rows)
    return f"## {group_name}\n\n{first_line(group.__doc__)}\n\n{settings}"


def _variable(group: str, field: str) -> str:
    return f"{PREFIX}{group}__{field}".upper()


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema itself, or the one that it refers to by name, as it does to an enumeration."""
    return definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _type(schema: Mapping[str, Any]) -> str:
    """Return the type and the range in words."""
    if "anyOf" in schema:
        return _type(next(option for option in schema["anyOf"] if option["type"] != "null"))
    if "enum" in schema:
        return " or ".join(code(value) for value in schema["enum"])
    if schema.get("format") == "password":
        return "text, secret"
    types = {"string": "text", "integer": "whole number", "array": "list", "boolean": "`true` or `false`"}
    kind = "path" if schema.get("format") == "path" else types.get(schema["type"], schema["type"])
    limits = [
        f"{words} {number(schema[key])}"
        for key, words in (("exclusiveMinimum", "above"), ("minimum", "at least"), ("maximum", "at most"))
        if key in schema
    ]
    return ", ".join([kind, *limits])


def _default(value: object) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None:
        return ""
    if isinstance(value, tuple):
        return code(",".join(map(number, value)))
    if isinstance(value, bool):
        return code(str(value).lower())
    return code(number(value) if isinstance(value, float) else value)
