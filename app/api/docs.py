"""Documentation for people and programs, drawn from the OpenAPI document; nothing is loaded from elsewhere."""

from __future__ import annotations

import re
from typing import Any, cast

from apiflask import APIBlueprint, APIFlask
from flask import Response, current_app, jsonify
from markupsafe import Markup, escape

from app.api.documentation import calls_by_tag
from app.api.html_pages import html_page
from app.api.operation import operation
from app.api.problems import KINDS

docs = APIBlueprint("docs", __name__, template_folder="templates")

_BACKTICKS = re.compile("`([^`]+)`")


@operation(docs, "GET", "/", access="public", answers={200: ("text/html",)})
def show_index() -> Response:
    """Show where everything is."""
    return html_page("index.html")


@operation(docs, "GET", "/api/docs", access="public", answers={200: ("text/html",)})
def show_docs() -> Response:
    """Show this documentation."""
    return html_page(
        "docs.html",
        document=_document(),
        calls=calls_by_tag(_document()),
        problems=KINDS.values(),
        code_spans=_code_spans,
    )


@operation(docs, "GET", "/api/openapi.json", access="public", answers={200: ("application/json",)})
def show_document() -> Response:
    """Show the OpenAPI 3.1 document of this API."""
    return jsonify(_document())


def _document() -> dict[str, Any]:
    # Generated once: `APIFlask.spec` would do so anew each time.
    return cast("dict[str, Any]", cast("APIFlask", current_app)._get_spec("json"))  # noqa: SLF001 -- the cached one has no public name


def _code_spans(text: str) -> Markup:
    """Return text as HTML, with what stands between backticks as code."""
    return Markup(_BACKTICKS.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 -- escaped first
