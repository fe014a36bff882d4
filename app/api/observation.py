"""Request ids, the access log, its metric, and the headers that every answer carries."""

from __future__ import annotations

import re
import time
from uuid import uuid4

import structlog
from flask import Flask, Response, g, request

from app.domain.deadline import Deadline
from app.live_metrics import LiveMetrics
from app.metrics import HTTP_DURATION

_log = structlog.stdlib.get_logger(__name__)

HEADER = "X-Request-Id"

_SAFE = re.compile(r"[A-Za-z0-9._-]{1,100}")

#: Nothing that we answer is to be guessed at, framed, kept or told to other sites; pages loosen the first one.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def request_id() -> str:
    """Return the id of the present request."""
    return str(g.request_id)


def answer_by(seconds: float) -> Deadline:
    """Return the moment that lies `seconds` after the start of the present request."""
    return Deadline.after(max(0.0, seconds - (time.perf_counter() - g.started)))


def observe_requests(app: Flask, metrics: LiveMetrics) -> None:
    """Give every request an id, measure it, and log how it ended."""

    @app.before_request
    def _begin() -> None:
        given = request.headers.get(HEADER, "")
        g.request_id = given if _SAFE.fullmatch(given) else uuid4().hex
        g.started = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    @app.after_request
    def _end(response: Response) -> Response:
        response.headers[HEADER] = g.request_id
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        seconds = time.perf_counter() - g.started
        status = f"{response.status_code // 100}xx"
        metrics.observe(HTTP_DURATION, seconds, method=request.method, status=status)
        _log.info(
            "request_ended",
            method=request.method,
            route=request.url_rule.rule if request.url_rule else None,
            status=response.status_code,
            seconds=round(seconds, 4),
            caller=g.actor.name if "actor" in g else None,
        )
        return response

    @app.teardown_request
    def _forget(_error: BaseException | None) -> None:
        structlog.contextvars.clear_contextvars()
