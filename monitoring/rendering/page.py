"""One dashboard, or the index of all, as an HTML page of its own: style and drawings inside, no script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from monitoring.rendering.axes import event_text
from monitoring.rendering.drawing import Chart, Drawing, Grid, LegendEntry
from monitoring.rendering.drawn import DrawnDashboard, PlacedPanel
from monitoring.rendering.links import KnownPage, Links
from monitoring.rendering.patterns import pattern_definitions, pattern_fill
from monitoring.rendering.scale import time_text
from monitoring.rendering.svg import clean, element
from monitoring.rendering.theme import Theme, css, resolved

#: Pixels on either side of the panels, as in style.css.
PAGE_MARGIN = 16.0


def dashboard_page(drawn: DrawnDashboard, links: Links, *, width: float, theme: Theme, source: str) -> str:
    """Return the page of a dashboard.

    Args:
        drawn: The dashboard.
        links: Where links lead.
        width: Pixels of the page on a large screen; on a phone the panels stand below each other.
        theme: Colours; `auto` follows the reader's system.
        source: What the page says the data came from.
    """
    read = drawn.read
    until = read.data_until
    text = _environment().get_template("dashboard.html")
    page = text.render(
        title=clean(read.variables.in_text(read.dashboard.title)),
        description=clean(read.variables.in_text(read.dashboard.description)),
        when=read.when.text,
        data_until="none" if until is None else f"{time_text(until)} UTC",
        variables=[(clean(name), clean(value)) for name, value in read.variables.shown()],
        links=links.of(read.dashboard.links, read.variables.within(read.when, read.when.step(1000))),
        events=[clean(event_text(event)) for event in read.events],
        sections=[
            {
                "title": clean(section.title),
                "collapsed": section.collapsed,
                "panels": [_panel(panel, section.top, links) for panel in section.panels],
            }
            for section in drawn.sections
        ],
        patterns=pattern_definitions(),
        source=clean(source),
        **_style(width, theme),
    )
    return page if theme == "auto" else resolved(page, theme)


def index_page(pages: Iterable[KnownPage], *, when: str, width: float, theme: Theme) -> str:
    """Return the page that links to all dashboards."""
    return _environment().get_template("index.html").render(pages=list(pages), when=when, **_style(width, theme))


def _style(width: float, theme: Theme) -> dict[str, Any]:
    source = _environment().loader
    assert source is not None  # noqa: S101 -- set below
    style, _, _ = source.get_source(_environment(), "style.css")
    return {"width": f"{width:.0f}", "style": Markup(style.strip()), "colours": Markup(css(theme))}  # noqa: S704 -- ours


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("monitoring.rendering"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clean"] = clean
    environment.filters["swatch"] = _swatch
    return environment


def _panel(panel: PlacedPanel, top: int, links: Links) -> dict[str, Any]:
    place, drawing, data = panel.data.panel.grid_pos, panel.body.drawing, panel.data
    return {
        "id": data.panel.id,
        "title": clean(data.title),
        "type": clean(data.panel.type),
        "description": clean(data.variables.in_text(data.panel.description)),
        "links": links.of(data.panel.links, data.variables),
        "column": f"{place.x + 1} / span {min(place.w, 24 - place.x)}",
        "row": f"{place.y - top + 1} / span {place.h}",
        "body_height": 0 if drawing.grid or drawing.words else round(panel.box.height * 0.3),
        "message": clean(drawing.message),
        "chart": drawing.chart,
        "svg": _svg(drawing.chart) if drawing.chart else "",
        "grid": _linked(drawing.grid, links) if drawing.grid else None,
        "words": _words(drawing),
        "legend": drawing.legend,
        "notes": drawing.notes,
    }


def _svg(chart: Chart) -> Markup:
    label = clean(chart.label)
    return element(
        "svg",
        element("title", label),
        chart.body,
        role="img",
        aria_label=label,
        class_="chart",
        width="100%",
        height=chart.height,
    )


def _linked(grid: Grid, links: Links) -> Grid:
    rows: Sequence[Any] = [[replace(cell, url=links.address(cell.url)) for cell in row] for row in grid.rows]
    return Grid(grid.columns, tuple(tuple(row) for row in rows))


def _words(drawing: Drawing) -> Markup:
    """Return Markdown as HTML; HTML in it is escaped, and links of unsafe schemes stay text."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    return Markup(parser.render(clean(drawing.words)))  # noqa: S704 -- the parser escapes


def _swatch(entry: LegendEntry) -> Markup:
    if entry.pattern is None:
        body = element("rect", y=4, width=14, height=4, rx=2, fill=entry.colour)
    else:
        body = element("rect", width=14, height=12, fill=entry.colour) + element(
            "rect", width=14, height=12, fill=pattern_fill(entry.pattern)
        )
    return element("svg", body, width=14, height=12, aria_hidden="true")
