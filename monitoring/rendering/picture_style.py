"""The style inside a picture, which stands alone."""

from __future__ import annotations

from monitoring.rendering.theme import Theme, css

#: Texts get their colour by inheritance, so that an attribute of their own wins.
_STYLE = (
    "svg{fill:var(--text);font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}"
    "text:not(.big){font-size:12px}"
    ".big{font-weight:600}"
    "text.title{font-size:20px;font-weight:600}"
    "text.section{font-size:16px;font-weight:600}"
    "text.heading{font-size:14px;font-weight:600}"
    "text.message{font-size:15px;fill:var(--muted)}"
    "text.head{font-weight:600;fill:var(--muted)}"
    "text.tick{font-size:11px;fill:var(--muted)}"
    "text.name{font-size:13px}"
    "text.figure{font-size:13px;font-weight:600}"
    "text.state{fill:var(--panel);font-weight:600}"
    ".panel{fill:var(--panel);stroke:var(--line)}"
    ".grid{stroke:var(--grid)}"
    ".line{fill:none;stroke-linejoin:round;stroke-linecap:round;vector-effect:non-scaling-stroke}"
    ".threshold{stroke-width:1.5}"
    ".zone{fill-opacity:.1}"
    ".event{stroke-width:1.5;stroke-dasharray:3 3}"
    ".span{fill-opacity:.12}"
    ".track,.arc{fill:none}"
    ".track{stroke:var(--grid)}"
    ".bar-track{fill:var(--grid)}"
    ".cells{shape-rendering:crispEdges}"
    ".hatch{fill:none;stroke:var(--panel);stroke-width:1.6;stroke-opacity:.55;stroke-linecap:round}"
)


def picture_style(theme: Theme) -> str:
    """Return the style of a picture."""
    return css(theme) + _STYLE
