"""Access: every route is closed, unless it declares who may call it."""

from __future__ import annotations

from collections.abc import Callable

from apiflask import APIFlask
from flask import current_app, g, request
from pydantic.alias_generators import to_camel

from app.api.bodies import check_parameters
from app.api.operation import is_id, operation_of
from app.domain.errors import NotAllowedError, NotAuthenticatedError
from app.domain.identifiers import parse_id
from app.domain.roles import Actor
from app.tokens import Tokens


def caller() -> Actor:
    """Return who sent the present request, on a route that is not public."""
    actor = g.actor
    assert isinstance(actor, Actor)  # noqa: S101 -- what `guard_access` has put there
    return actor


def guard_access(app: APIFlask, tokens: Tokens, count_failure: Callable[[], None]) -> None:
    """Check token and role before anything of a request is read; then the ids in its path.

    `count_failure` is called for each failed authentication, and may raise to slow its sender down.
    """

    @app.before_request
    def _check() -> None:
        if request.url_rule is None:
            return  # no such route: the framework tells so
        operation = operation_of(current_app.view_functions[request.url_rule.endpoint])
        if operation is not None and operation.access == "public":
            return
        try:
            g.actor = tokens.authenticate(request.headers.get("Authorization"))
        except NotAuthenticatedError:
            count_failure()
            raise
        if operation is None:
            raise NotAllowedError("this route has not declared who may call it")
        if not g.actor.role.includes(operation.access):
            raise NotAllowedError(f"this needs the role {operation.access}; the token has {g.actor.role}")
        check_parameters(expected=operation.has_parameters)
        _read_path()


def _read_path() -> None:
    for name, value in (request.view_args or {}).items():
        if is_id(name):
            request.view_args[name] = parse_id(to_camel(name), value)  # type: ignore[index]  # it has this member
