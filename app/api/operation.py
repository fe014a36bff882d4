"""Operations: what a route declares of itself, in one place, so that nothing can be forgotten.

A route that is not declared here is refused by `app.api.access`, and a test finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import UnionType
from typing import Any, Literal, TypeVar, cast, get_args

from apiflask import APIBlueprint
from apiflask.types import ResponsesType
from pydantic import BaseModel

# The standard library's phrases differ between versions of Python.
from werkzeug.http import HTTP_STATUS_CODES

from app.api import problems
from app.domain.roles import Role

#: Who may call: everybody, or whoever has this role or a higher one.
Access = Role | Literal["public"]

#: What stands in an answer: JSON of a model, or of one of several, or text of these media types.
Content = type[BaseModel] | UnionType | tuple[str, ...]

_View = TypeVar("_View", bound=Callable[..., Any])
_NAME = "marketplace_operation"


@dataclass(frozen=True)
class Operation:
    """What a route declares: who may call it, what it answers, which problems it has of its own."""

    access: Access
    answers: Mapping[int, Content]
    problems: tuple[HTTPStatus, ...]
    form: type[BaseModel] | None
    has_parameters: bool


def operation(
    blueprint: APIBlueprint,
    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE"],
    path: str,
    *,
    access: Access,
    answers: Mapping[int, Content],
    body: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    form: type[BaseModel] | None = None,
    own_problems: tuple[HTTPStatus, ...] = (),
) -> Callable[[_View], _View]:
    """Declare a route.

    The view gets `body` (JSON) and `query` under these names, when declared, and ids of the path (`<..._id>`) as UUID.
    It returns the model of the first of `answers`, or a model and its status, or a whole `Response`. `form` is what
    multipart bodies hold; the view reads it itself. The docstring's first line is the summary of the documentation.
    """

    def declare(view: _View) -> _View:
        declared: Any = blueprint.doc(
            summary=(view.__doc__ or "").partition("\n")[0].rstrip("."),
            operation_id=view.__name__,
            security=None if access == "public" else "bearer",
            responses=cast("ResponsesType", {code: _documented(code, content) for code, content in answers.items()}),
            extensions={"x-role": str(access)},
        )(view)
        status, content = next(iter(answers.items()))
        if isinstance(content, type):
            declared = blueprint.output(content, status_code=status)(declared)
        if body is not None:
            declared = blueprint.input(body, location="json", arg_name="body")(declared)
        if query is not None:
            declared = blueprint.input(query, location="query", arg_name="query")(declared)
        setattr(declared, _NAME, Operation(access, answers, own_problems, form, query is not None))
        blueprint.route(path, methods=[method])(declared)
        return view

    return declare


def is_id(name: str) -> bool:
    """Tell whether a part of a path, by its name, is the id of something; else an agent or an alert is named."""
    return name.endswith(("_id", "Id"))


def operation_of(view: Callable[..., Any] | None) -> Operation | None:
    """Return what a view function has declared, None when it has not."""
    return getattr(view, _NAME, None)


def reference(model: type[BaseModel]) -> dict[str, str]:
    """Return the reference to a model in the OpenAPI document."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def problem_answer(status: HTTPStatus) -> dict[str, Any]:
    """Return what the OpenAPI document says of a problem of this status."""
    return {
        "description": HTTP_STATUS_CODES[status],
        "content": {problems.MEDIA_TYPE: {"schema": reference(problems.Problem)}},
    }


def models_of(content: Content) -> tuple[type[BaseModel], ...]:
    """Return the models of which an answer may be one; none for text."""
    if isinstance(content, tuple):
        return ()
    return (content,) if isinstance(content, type) else get_args(content)


def _documented(status: int, content: Content) -> dict[str, Any]:
    media: dict[str, Any]
    if isinstance(content, tuple):
        media = {
            media_type: {"schema": {"type": "object" if media_type == "application/json" else "string"}}
            for media_type in content
        }
    else:
        schemas = [reference(model) for model in models_of(content)]
        media = {"application/json": {"schema": {"anyOf": schemas} if len(schemas) > 1 else schemas[0]}}
    return {"description": HTTP_STATUS_CODES[status], "content": media}
