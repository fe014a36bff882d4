"""The README of the chart: its text is README.md.in, its tables come from values.yaml and values.schema.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deploy.artifacts.markdown import code, table

#: The chart.
CHART = Path(__file__).resolve().parents[2] / "helm" / "marketplace"

#: What helm-docs calls a description; lines that follow with `# ` go on with it. https://github.com/norwoodj/helm-docs
_MARK = "# -- "

#: Longer defaults are better read where they stand.
_LONGEST_DEFAULT = 70


@dataclass(frozen=True)
class Value:
    """One documented value: `path` with dots, `kind` in words, and its default."""

    path: str
    kind: str
    default: Any
    meaning: str


def chart_readme() -> str:
    """Return the README.

    Raises:
        ValueError: A value has no description or is not in the schema; the text names it.
    """
    text = (CHART / "README.md.in").read_text(encoding="utf-8")
    return text.replace("@VALUES@", _tables(chart_values()))


def chart_values() -> list[Value]:
    """Return every value in the order of values.yaml; raises as `chart_readme` does."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    return list(documented(text, schema))


def documented(text: str, schema: Mapping[str, Any]) -> Iterator[Value]:
    r"""Yield the values of a values.yaml; one with a description is told whole, one without by its parts.

    Raises:
        ValueError: A value without parts has no description, or the schema does not know it.

    >>> schema = {"properties": {"replicas": {"type": "integer"}}}
    >>> [(value.path, value.kind, value.meaning) for value in documented("# -- Pods.\nreplicas: 2", schema)]
    [('replicas', 'integer', 'Pods.')]
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)  # noqa: S101 -- a values.yaml is a mapping
    yield from _below("", root, text.splitlines(), schema, schema)


def _below(
    prefix: str, node: yaml.MappingNode, lines: Sequence[str], schema: Mapping[str, Any], root: Mapping[str, Any]
) -> Iterator[Value]:
    for key, value in node.value:
        path = f"{prefix}{key.value}"
        known = schema.get("properties", {})
        if key.value not in known:
            raise ValueError(f"{path}: values.schema.json does not know it")
        own = _resolved(known[key.value], root)
        meaning = _description(lines, key.start_mark.line)
        if meaning:
            yield Value(path, _kind(own), yaml.safe_load(yaml.serialize(value)), meaning)
        elif isinstance(value, yaml.MappingNode) and value.value:
            yield from _below(f"{path}.", value, lines, own, root)
        else:
            raise ValueError(f"{path}: has no description (`{_MARK}...` in the line above) in values.yaml")


def _description(lines: Sequence[str], line: int) -> str:
    """Return the description that ends right above a line, empty when there is none."""
    found: list[str] = []
    for above in reversed(lines[:line]):
        comment = above.strip()
        if comment.startswith(_MARK):
            return " ".join([comment.removeprefix(_MARK), *reversed(found)])
        if not comment.startswith("# "):
            break
        found.append(comment.removeprefix("# "))
    return ""


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = root["definitions"][schema["$ref"].rpartition("/")[2]]
    return schema


def _kind(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(code(value) for value in schema["enum"])
    kinds = schema.get("type") or [choice["type"] for choice in schema["anyOf"]]
    return kinds if isinstance(kinds, str) else " or ".join(kinds)


def _tables(values: Sequence[Value]) -> str:
    sections: dict[str, list[list[str]]] = {"General": []}
    for value in values:
        section = value.path.partition(".")[0] if "." in value.path else "General"
        row = [code(value.path), value.kind, _default(value.default), value.meaning]
        sections.setdefault(section, []).append(row)
    header = ["Value", "Type", "Default", "Meaning"]
    return "\n\n".join(f"### {section}\n\n{table(header, rows)}" for section, rows in sections.items())


def _default(value: object) -> str:
    text = json.dumps(value)
    return code(text) if len(text) <= _LONGEST_DEFAULT else "see values.yaml"
