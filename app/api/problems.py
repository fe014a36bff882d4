"""Problem documents (RFC 9457): the one form that every error takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from apiflask import APIFlask, HTTPError
from flask import Response, request
from werkzeug.exceptions import HTTPException

from app.api.observation import request_id
from app.api.shapes import Answer
from app.domain.errors import InvalidInputError, MarketplaceError, RateLimitedError, RecoverableError
from app.domain.plain_text import excerpt
from app.live_metrics import LiveMetrics
from app.metrics import ERRORS

_log = structlog.stdlib.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

#: Faults that one document lists, and characters of a name that it repeats, at most.
_MOST_FAULTS = 50
_LONGEST_FIELD = 200


class FieldFault(Answer):
    """What is wrong, and where: `channels.0`, `planData.phases.1.name`, or the name of a header."""

    field: str
    message: str


class Problem(Answer):
    """An error. `code` is stable and made for programs; `title` and `detail` are for people."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    errors: list[FieldFault]


@dataclass(frozen=True)
class ProblemKind:
    """A kind of problem, as the documentation lists it."""

    code: str
    status: HTTPStatus
    title: str


KINDS = {
    kind.code: kind
    for kind in (
        ProblemKind("malformed_input", HTTPStatus.BAD_REQUEST, "The input cannot be read"),
        ProblemKind("bad_request", HTTPStatus.BAD_REQUEST, "The request is not valid HTTP"),
        ProblemKind("not_authenticated", HTTPStatus.UNAUTHORIZED, "A valid token is needed"),
        ProblemKind("not_allowed", HTTPStatus.FORBIDDEN, "The token's role does not allow this"),
        ProblemKind("not_found", HTTPStatus.NOT_FOUND, "There is no such thing"),
        ProblemKind("method_not_allowed", HTTPStatus.METHOD_NOT_ALLOWED, "This address has no such method"),
        ProblemKind("conflict", HTTPStatus.CONFLICT, "The present state does not allow this"),
        ProblemKind("body_too_large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large"),
        ProblemKind("unsupported_media_type", HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body is of the wrong type"),
        ProblemKind("invalid_input", HTTPStatus.UNPROCESSABLE_ENTITY, "The input breaks a rule"),
        ProblemKind("rate_limited", HTTPStatus.TOO_MANY_REQUESTS, "Too many requests"),
        ProblemKind("internal_error", HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here"),
        ProblemKind("database_unavailable", HTTPStatus.SERVICE_UNAVAILABLE, "The database does not answer"),
        ProblemKind("redis_unavailable", HTTPStatus.SERVICE_UNAVAILABLE, "Redis does not answer"),
        ProblemKind("unavailable", HTTPStatus.SERVICE_UNAVAILABLE, "Something that this call needs does not answer"),
    )
}

_OF_STATUS = {kind.status: kind for kind in reversed(KINDS.values()) if kind.code != "malformed_input"}

#: Which part of the request an error of the framework speaks of.
_FIELDS = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body", HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "Content-Type"}


def problem_response(
    kind: ProblemKind,
    detail: str,
    *,
    faults: Iterable[FieldFault] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the answer that tells a problem."""
    problem = Problem(
        type=f"/api/docs#problem-{kind.code}",
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=request.path,
        code=kind.code,
        request_id=request_id(),
        errors=list(faults)[:_MOST_FAULTS],
    )
    return Response(
        problem.model_dump_json(by_alias=True, ensure_ascii=True),
        status=kind.status,
        headers=headers,
        mimetype=MEDIA_TYPE,
    )


def fault(field: str, message: str) -> FieldFault:
    """Return the fault of one field, whose name may come from the caller."""
    return FieldFault(field=excerpt(field, _LONGEST_FIELD), message=message)


def tell_problems(app: APIFlask, metrics: LiveMetrics) -> None:
    """Answer every error of this app with a problem document."""
    app.register_error_handler(MarketplaceError, answer_error)

    @app.error_processor
    def _tell_validation(error: HTTPError) -> Response:
        # APIFlask's own errors: what a pydantic model has refused, as {location: {field: [message, ...]}}.
        details: Mapping[str, Mapping[str, list[str]]] = error.detail
        faults = [
            fault("body" if field == "_schema" else field, message.removeprefix("Value error, "))
            for fields in details.values()
            for field, messages in fields.items()
            for message in messages
        ]
        return problem_response(KINDS["invalid_input"], _summary(faults), faults=faults)

    @app.errorhandler(HTTPException)
    def _tell_http(error: HTTPException) -> Any:  # noqa: ANN401 -- the framework's own redirects pass as they are
        if error.code is None or error.code < HTTPStatus.BAD_REQUEST:
            return error
        kind = _OF_STATUS.get(HTTPStatus(error.code)) or ProblemKind(
            f"http_{error.code}", HTTPStatus(error.code), error.name
        )
        field = _FIELDS.get(kind.status)
        # Of what the framework says, only its words about bodies tell more than the title does.
        detail = error.description if field and error.description else kind.title
        headers = {name: value for name, value in error.get_headers() if name.lower() in {"allow", "retry-after"}}
        return problem_response(kind, detail, faults=[fault(field, detail)] if field else (), headers=headers)

    @app.errorhandler(Exception)
    def _tell_defect(_error: Exception) -> Response:
        metrics.count(ERRORS, place="api")
        _log.exception("request_raised")
        return problem_response(
            KINDS["internal_error"], "This is a defect of ours. The log has it under the request id."
        )


def answer_error(error: MarketplaceError) -> Response:
    """Return the answer to an error of ours."""
    headers = {}
    faults = []
    detail = str(error)
    if isinstance(error, InvalidInputError):
        faults = [fault(error.field, error.message)]
        detail = _summary(faults)
    if isinstance(error, RateLimitedError):
        headers["Retry-After"] = str(math.ceil(error.retry_after_seconds or 1))
    kind = KINDS.get(error.code)
    if kind is None:
        kind = KINDS["unavailable" if isinstance(error, RecoverableError) else "internal_error"]
    if kind.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # What the database or Redis said is for our log, not for the caller.
        _log.error("request_failed", error_code=error.code, error=str(error))
        detail = kind.title
    if kind.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "1"
    if kind.code == "not_authenticated":
        headers["WWW-Authenticate"] = 'Bearer realm="marketplace"'
        faults = [fault("Authorization", detail)]
    return problem_response(kind, detail, faults=faults, headers=headers)


def _summary(faults: list[FieldFault]) -> str:
    first = f"{faults[0].field}: {faults[0].message}" if faults else "the input breaks a rule"
    return first if len(faults) < 2 else f"{first} (and {len(faults) - 1} more)"  # noqa: PLR2004 -- one, or more
