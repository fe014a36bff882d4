"""A whole dashboard as one SVG for documents: nested drawings and texts only, which every program shows."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markupsafe import Markup

from monitoring.rendering.drawing import Cell, Chart, Grid, Legend, LegendEntry
from monitoring.rendering.drawn import DrawnDashboard, PlacedPanel, PlacedSection, draw
from monitoring.rendering.layout import GAP, HEADER, LEGEND_LINE, PADDING, Box, body_of
from monitoring.rendering.legend_layout import entry_text, entry_width, legend_lines, without_legend
from monitoring.rendering.page import PAGE_MARGIN
from monitoring.rendering.patterns import pattern_definitions, pattern_fill
from monitoring.rendering.picture_style import picture_style
from monitoring.rendering.reading import ReadDashboard
from monitoring.rendering.svg import CHARACTER, clean, cut, element, group, text_width
from monitoring.rendering.theme import Theme, resolved

#: Bytes of a picture: what a page of documentation can carry.
MOST_BYTES = 150_000
#: Pixels that a point of a line may stand for; the first that keeps the picture small is taken.
_FINENESS = (2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0)
_TITLE, _SECTION = 62.0, 34.0
_ROW = 22.0


def dashboard_picture(read: ReadDashboard, *, width: float, theme: Theme) -> str:
    """Return the picture of a dashboard without its collapsed rows, as fine as fits into `MOST_BYTES`."""
    text = ""
    for pixels in _FINENESS:
        text = _picture(draw(read, width=width - 2 * PAGE_MARGIN, pixels_per_point=pixels), width, theme)
        if len(text.encode()) <= MOST_BYTES:
            break
    return text


def _picture(drawn: DrawnDashboard, width: float, theme: Theme) -> str:
    shown = [section for section in drawn.sections if not section.collapsed and section.panels]
    y, parts = _TITLE, []
    for section in shown:
        heading = element("text", section.title, x=PAGE_MARGIN, y=y + 22, class_="section") if section.title else ""
        y += _SECTION if section.title else 0.0
        parts.append(group(heading, _section(section, y)))
        y += section.height + GAP
    read = drawn.read
    title = clean(read.variables.in_text(read.dashboard.title))
    picture = element(
        "svg",
        element("title", title),
        element("desc", f"{title}, {read.when.text}"),
        element("style", Markup(picture_style(theme))),  # noqa: S704 -- ours
        pattern_definitions(),
        element("rect", width="100%", height="100%", fill="var(--page)"),
        element("text", title, x=PAGE_MARGIN, y=30, class_="title"),
        element("text", _facts(drawn), x=PAGE_MARGIN, y=50, class_="tick"),
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        role="img",
        aria_label=title,
        width=width,
        height=y + GAP,
        viewBox=f"0 0 {width:.0f} {y + GAP:.0f}",
    )
    text = str(picture) + "\n"
    return text if theme == "auto" else resolved(text, theme)


def _facts(drawn: DrawnDashboard) -> str:
    read = drawn.read
    return " \u00b7 ".join([read.when.text, *(f"{name}: {value}" for name, value in read.variables.shown())])


def _section(section: PlacedSection, top: float) -> Markup:
    return group(*(_panel(panel, top) for panel in section.panels))


def _panel(panel: PlacedPanel, top: float) -> Markup:
    box, drawing, data = panel.box, panel.body.drawing, panel.data
    canvas = body_of(box)
    parts = [
        element("rect", x=0.5, y=0.5, width=box.width - 1, height=box.height - 1, rx=4, class_="panel"),
        element("text", cut(data.title, canvas.width, 14), x=PADDING, y=20, class_="heading"),
    ]
    if drawing.message:
        middle = {"x": box.width / 2, "y": HEADER + canvas.height / 2, "text_anchor": "middle"}
        parts.append(element("text", cut(drawing.message, canvas.width, 15), class_="message", **middle))
    if drawing.chart:
        parts.append(_chart(drawing.chart, box))
    if drawing.grid:
        parts.append(_grid(drawing.grid, box))
    if drawing.words:
        parts.append(_words(drawing.words, box))
    if drawing.legend:
        below = without_legend(canvas, drawing.legend, drawing.notes).height
        parts.append(_legend(drawing.legend, box, HEADER + below))
    for index, note in enumerate(drawing.notes):
        y = box.height - 8 - 15 * (len(drawing.notes) - 1 - index)
        parts.append(element("text", cut(note, canvas.width, 11), x=PADDING, y=y, class_="tick"))
    place = {"x": PAGE_MARGIN + box.x, "y": top + box.y, "width": box.width, "height": box.height}
    return element("svg", *parts, **place)


def _chart(chart: Chart, box: Box) -> Markup:
    place = {"x": PADDING + chart.left, "y": HEADER + chart.top, "height": chart.height}
    width = box.width - 2 * PADDING - chart.left - chart.right
    return element(
        "svg", element("title", chart.label), chart.body, class_="chart", overflow="visible", width=width, **place
    )


def _grid(grid: Grid, box: Box) -> Markup:
    width = (box.width - 2 * PADDING) / len(grid.columns)
    fits = max(int((box.height - HEADER - PADDING) / _ROW) - 1, 0)
    shown = grid.rows if len(grid.rows) <= fits else grid.rows[: max(fits - 1, 0)]
    parts = [
        element("text", cut(name, width - 6), x=PADDING + index * width, y=HEADER + 14, class_="head")
        for index, name in enumerate(grid.columns)
    ]
    for line, row in enumerate(shown, 1):
        y = HEADER + line * _ROW
        parts.append(element("line", x1=PADDING, x2=box.width - PADDING, y1=y - 1, y2=y - 1, class_="grid"))
        parts += [_cell(cell, PADDING + index * width, y, width) for index, cell in enumerate(row)]
    if len(shown) < len(grid.rows):
        more = f"and {len(grid.rows) - len(shown)} more"
        parts.append(element("text", more, x=PADDING, y=HEADER + (len(shown) + 1) * _ROW + 14, class_="tick"))
    return group(*parts)


def _cell(cell: Cell, x: float, y: float, width: float) -> Markup:
    text = cut(cell.text, width - 8)
    if not cell.filled:
        return element("text", text, x=x, y=y + 14, fill=cell.colour)
    return group(
        element("rect", x=x - 2, y=y + 1, width=width - 4, height=_ROW - 4, rx=2, fill=cell.colour),
        element("text", text, x=x + 2, y=y + 14, class_="state"),
    )


def _words(words: str, box: Box) -> Markup:
    """Return the texts of a Markdown document, wrapped, as far as they fit."""
    room = max(int((box.width - 2 * PADDING) / (13 * CHARACTER)), 8)
    lines = [line for text in _plain(words) for line in textwrap.wrap(text, room)]
    fits = max(int((box.height - HEADER - PADDING) / 18), 1)
    return group(
        *(element("text", line, x=PADDING, y=HEADER + 14 + 18 * index) for index, line in enumerate(lines[:fits]))
    )


def _plain(words: str) -> list[str]:
    tokens = MarkdownIt("commonmark", {"html": False}).parse(clean(words))
    inline = [token for token in tokens if token.type == "inline"]
    return [
        "".join(" " if child.type.endswith("break") else child.content for child in token.children or [])
        for token in inline
    ]


def _legend(legend: Legend, box: Box, top: float) -> Markup:
    width = box.width - 2 * PADDING
    lines = legend_lines(legend, width)
    fits = max(int((box.height - top - 4) / LEGEND_LINE), 0) - legend.as_table
    parts, y = [], top + 12
    if legend.as_table:
        parts.append(_figures(legend.titles, box, y, "head"))
        y += LEGEND_LINE
    for line in lines[:fits] if len(lines) > fits else lines:
        x = PADDING
        for entry in line:
            if legend.as_table:
                parts.append(
                    group(_entry(entry, cut(entry.name, width * 0.5), x, y), _figures(entry.values, box, y, None))
                )
            else:
                parts.append(_entry(entry, cut(entry_text(legend, entry), width - 20), x, y))
                x += entry_width(legend, entry)
        y += LEGEND_LINE
    return group(*parts)


def _figures(texts: Sequence[str], box: Box, y: float, kind: str | None) -> Markup:
    """Return the figures of a line of a table, right-aligned from the right."""
    column = max(70.0, *(text_width(text) + 12 for text in texts)) if texts else 0.0
    right = box.width - PADDING
    return group(
        *(
            element("text", text, x=right - (len(texts) - 1 - index) * column, y=y, text_anchor="end", class_=kind)
            for index, text in enumerate(texts)
        )
    )


def _entry(entry: LegendEntry, text: str, x: float, y: float) -> Markup:
    if entry.pattern is None:
        swatch = element("rect", x=x, y=y - 6, width=14, height=4, rx=2, fill=entry.colour)
    else:
        square = {"x": x, "y": y - 10, "width": 14, "height": 12}
        swatch = group(
            element("rect", fill=entry.colour, **square), element("rect", fill=pattern_fill(entry.pattern), **square)
        )
    return group(swatch, element("text", text, x=x + 20, y=y))
