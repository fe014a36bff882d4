"""The OpenAPI document: what APIFlask generates, completed by what every route has in common."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any, cast

from apiflask import APIFlask
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from app.api.analysis import AnalysisRequest, PlanImport, UploadForm
from app.api.operation import Operation, is_id, models_of, operation_of, problem_answer, reference
from app.api.problems import Problem
from app.domain.alerts import EXPLAINED_ALERTS
from app.domain.channels import CHANNEL_PATTERN

DESCRIPTION = """Analyses of marketplaces become plans, an approved plan becomes tasks.

Send `Authorization: Bearer <token>`. Roles: `viewer` reads, `approver` also asks for analyses and decides plans,
`admin` does everything; `x-role` tells what a call needs. Lists are paged: give `nextCursor` back as `cursor`."""

SECURITY = {"bearer": {"type": "http", "scheme": "bearer", "description": "A token of the form `mp_...`"}}

_UUID = {"type": "string", "format": "uuid"}
#: What a part of a path can be that is no id.
_NAMES: Mapping[str, Mapping[str, Any]] = {
    "agent": {"type": "string", "pattern": CHANNEL_PATTERN},
    "alert": {"type": "string", "enum": [alert.name for alert in EXPLAINED_ALERTS]},
}

_GUARDED = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
)
_WITH_BODY = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
_ALWAYS = (HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE)


def complete_document(app: APIFlask, *, channels: Collection[str]) -> None:
    """Make `app.spec` whole: problems of every call, ids in paths, forms, the models that these name, and channels."""

    @app.spec_processor
    def _complete(document: dict[str, Any] | str) -> dict[str, Any]:
        assert isinstance(document, dict)  # noqa: S101 -- it is text only where YAML is asked for
        declared = {
            (re.sub(r"<([^>]+)>", r"{\1}", rule.rule), method.lower()): operation_of(app.view_functions[rule.endpoint])
            for rule in app.url_map.iter_rules()
            for method in rule.methods or ()
        }
        models: set[type[BaseModel]] = {Problem}
        for path, methods in document["paths"].items():
            for method, described in methods.items():
                operation = declared[path, method]
                if operation is not None:
                    _complete_operation(described, operation)
                    models |= _models(operation)
        document["paths"] = {_camel_path(path): methods for path, methods in document["paths"].items()}
        schemas = document["components"]["schemas"]
        for model in models:
            schemas[model.__name__] = model.model_json_schema(ref_template="#/components/schemas/{model}")
        document["components"]["schemas"] = _flat(schemas)
        for model in (AnalysisRequest, UploadForm, PlanImport) if channels else ():
            asked = document["components"]["schemas"][model.__name__]["properties"]["channels"]
            asked["items"] = {"type": "string", "enum": sorted(channels)}
        return cast("dict[str, Any]", _with_plain_names(document))


def _complete_operation(described: dict[str, Any], operation: Operation) -> None:
    for parameter in described["parameters"]:
        parameter["schema"] = _given(parameter["schema"])
        if parameter["in"] == "path":
            schema = _UUID if is_id(parameter["name"]) else _NAMES[parameter["name"]]
            parameter.update(name=to_camel(parameter["name"]), required=True, schema=dict(schema))
    if operation.form is not None:
        described["requestBody"] = {"content": {"multipart/form-data": {"schema": reference(operation.form)}}}
    statuses = set(_ALWAYS) | set(operation.problems)
    if operation.access != "public":
        statuses |= set(_GUARDED)
    if "requestBody" in described:
        described["requestBody"]["required"] = True
        statuses |= set(_WITH_BODY)
    for status in sorted(statuses):
        described["responses"].setdefault(str(int(status)), problem_answer(status))


def _models(operation: Operation) -> set[type[BaseModel]]:
    answers = {model for content in operation.answers.values() for model in models_of(content)}
    return answers if operation.form is None else answers | {operation.form}


def _flat(schemas: dict[str, Any]) -> dict[str, Any]:
    """Return each schema once, under the name of its class; APIFlask keeps one for each class that nests it."""
    flat: dict[str, Any] = {}
    for name, schema in schemas.items():
        nested = schema.pop("$defs", {})
        for plain_name, plain in {name.rpartition(".")[2]: schema, **nested}.items():
            for described in plain.get("properties", {}).values():
                described.pop("title", None)
            flat[plain_name] = plain
    return dict(sorted(flat.items()))


def _with_plain_names(part: Any) -> Any:  # noqa: ANN401 -- JSON is any value
    """Return a part of the document whose references lead to the names of `_flat`."""
    if isinstance(part, list):
        return [_with_plain_names(member) for member in part]
    if not isinstance(part, dict):
        return part
    return {
        name: re.sub(r"[^/]+[.]", "", member) if name == "$ref" else _with_plain_names(member)
        for name, member in part.items()
    }


def _given(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter when it is given; none is ever null."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    kept = {key: value for key, value in schema.items() if key not in {"anyOf", "title"} and value is not None}
    return {**kept, **choices[0]} if choices else kept


def _camel_path(path: str) -> str:
    return re.sub(r"{([^}]+)}", lambda match: f"{{{to_camel(match[1])}}}", path)
