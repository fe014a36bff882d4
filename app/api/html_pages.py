"""Pages for people: one template and one style for all, and nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
import hashlib

from flask import Response, render_template

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
_PAGE_POLICY = f"default-src 'none'; frame-ancestors 'none'; style-src 'sha256-{_STYLE_HASH}'"


def html_page(template: str, **values: object) -> Response:
    """Return a page that may use its own style and nothing else."""
    response = Response(render_template(template, style=_STYLE, **values), mimetype="text/html")
    response.headers["Content-Security-Policy"] = _PAGE_POLICY
    return response
