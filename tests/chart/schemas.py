"""Judges rendered objects as API servers of several releases of Kubernetes, and the operators' own schemas, would."""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any

import jsonschema_rs
import pytest

from deploy.tools.custom_schemas import schema_file
from deploy.tools.places import KUBERNETES_SCHEMAS
from tests.chart.manifest_files import Object, identity

_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

#: The Grafana Operator's models come in no package that Python can read. Source:
#: https://grafana.github.io/grafana-operator/docs/api/#grafanadashboard, the fields that a chart could want.
_GRAFANA_DASHBOARD = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "additionalProperties": False,
    "properties": {
        "apiVersion": {"const": "grafana.integreatly.org/v1beta1"},
        "kind": {"const": "GrafanaDashboard"},
        "metadata": {"type": "object"},
        "spec": {
            "type": "object",
            "required": ["instanceSelector"],
            "additionalProperties": False,
            "oneOf": [{"required": ["json"]}, {"required": ["configMapRef"]}],
            "properties": {
                "allowCrossNamespaceImport": {"type": "boolean"},
                "configMapRef": {
                    "type": "object",
                    "required": ["name", "key"],
                    "additionalProperties": False,
                    "properties": {"name": {"type": "string"}, "key": {"type": "string"}},
                },
                "datasources": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["datasourceName", "inputName"],
                        "additionalProperties": False,
                        "properties": {"datasourceName": {"type": "string"}, "inputName": {"type": "string"}},
                    },
                },
                "folder": {"type": "string"},
                "folderRef": {"type": "string"},
                "folderUID": {"type": "string"},
                "instanceSelector": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "matchLabels": {"type": "object", "additionalProperties": {"type": "string"}},
                        "matchExpressions": {"type": "array"},
                    },
                },
                "json": {"type": "string"},
                "resyncPeriod": {"type": "string"},
                "uid": {"type": "string", "maxLength": 40, "pattern": "^[a-zA-Z0-9-_]+$"},
            },
        },
    },
}


def problems(found: Object, version: str) -> list[str]:
    """Return what a cluster of this release, such as `1.30`, would refuse in an object; unknown fields included."""
    validator = _validator(found["apiVersion"], found["kind"], version)
    if validator is None:
        return [f"{identity(found)}: no schema of {found['apiVersion']} {found['kind']}"]
    errors = [*validator.iter_errors(found), *_metadata_validator(version).iter_errors(found["metadata"])]
    return [f"{identity(found)}: {'.'.join(map(str, error.instance_path))}: {error.message[:300]}" for error in errors]


@cache
def _validator(api_version: str, kind: str, version: str) -> jsonschema_rs.Draft202012Validator | None:
    if (api_version, kind) == ("grafana.integreatly.org/v1beta1", "GrafanaDashboard"):
        return jsonschema_rs.Draft202012Validator(_GRAFANA_DASHBOARD)
    if schema_file(api_version).is_file():
        custom = _custom(api_version)
        schema = custom["kinds"].get(kind)
        return None if schema is None else jsonschema_rs.Draft202012Validator({**schema, "$defs": custom["$defs"]})
    name = _kinds(version).get((api_version, kind))
    return None if name is None else _of_definition(name, version)


@cache
def _metadata_validator(version: str) -> jsonschema_rs.Draft202012Validator:
    return _of_definition(_META, version)


def _of_definition(name: str, version: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": _definitions(version)})


@cache
def _definitions(version: str) -> dict[str, Any]:
    path = KUBERNETES_SCHEMAS / f"{version}.json"
    if not path.is_file():
        missing = "the schemas of Kubernetes are not there: run `make tools`"
        if os.environ.get("CI", "") not in {"", "0", "false"}:
            pytest.fail(missing)
        pytest.skip(missing)
    definitions: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["$defs"]
    return definitions


@cache
def _custom(api_version: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(schema_file(api_version).read_text(encoding="utf-8"))
    return found


@cache
def _kinds(version: str) -> dict[tuple[str, str], str]:
    """Return the name of the definition of every kind, by API version and kind."""
    return {
        ("/".join(filter(None, (each["group"], each["version"]))), each["kind"]): name
        for name, definition in _definitions(version).items()
        for each in definition.get("x-kubernetes-group-version-kind", ())
    }
