"""Documentation for people and programs, drawn from the OpenAPI document; nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any, cast

from apiflask import APIBlueprint, APIFlask
from flask import Response, current_app, jsonify, render_template
from markupsafe import Markup, escape

from app.api.documentation import calls_by_tag
from app.api.operation import operation
from app.api.problems import KINDS

docs = APIBlueprint("docs", __name__, template_folder="templates")

_STYLE = """
:root { color-scheme: light dark; --line: light-dark(#d5d8de, #3a3f49); --soft: light-dark(#f4f5f7, #1d2026);
  --ink: light-dark(#1b1e24, #e6e8ec); --quiet: light-dark(#565d6b, #a3a9b5); --link: light-dark(#0b57d0, #8ab4f8); }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 1.5rem; background: light-dark(#fff, #14161a); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
a { color: var(--link); }
h1, h2, h3 { line-height: 1.25; }
h3 { margin: 0; font-size: 1rem; overflow-wrap: anywhere; }
code, pre { font: .875rem/1.5 ui-monospace, monospace; }
pre { overflow-x: auto; padding: .75rem; background: var(--soft); border-radius: .25rem; }
article { margin: 1rem 0; padding: 1rem; border: 1px solid var(--line); border-radius: .375rem; }
article p { margin: .5rem 0; }
table { width: 100%; border-collapse: collapse; margin: .5rem 0; }
th, td { padding: .25rem .75rem .25rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
.quiet { color: var(--quiet); }
.method { display: inline-block; min-width: 4.5rem; font-weight: 700; }
"""

_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_BACKTICKS = re.compile("`([^`]+)`")
_PAGE_POLICY = f"default-src 'none'; frame-ancestors 'none'; style-src 'sha256-{_STYLE_HASH}'"


@operation(docs, "GET", "/", access="public", answers={200: ("text/html",)})
def show_index() -> Response:
    """Show where everything is."""
    return _page("index.html")


@operation(docs, "GET", "/api/docs", access="public", answers={200: ("text/html",)})
def show_docs() -> Response:
    """Show this documentation."""
    return _page("docs.html", document=_document(), calls=calls_by_tag(_document()), problems=KINDS.values())


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


def _page(template: str, **values: object) -> Response:
    response = Response(render_template(template, style=_STYLE, code_spans=_code_spans, **values), mimetype="text/html")
    response.headers["Content-Security-Policy"] = _PAGE_POLICY
    return response
