"""`marketplace dashboards`: the dashboards drawn from a Prometheus, without Grafana."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from app.cli.exit_codes import ExitCode
from app.cli.output import json_option, print_json, print_table, say
from app.domain.errors import InvalidInputError
from app.settings import load_settings
from monitoring.rendering.dashboard import Dashboard, read_dashboard
from monitoring.rendering.dashboard_files import dashboard_files, named_file
from monitoring.rendering.drawn import DrawnDashboard, draw
from monitoring.rendering.links import KnownPage, Links
from monitoring.rendering.page import PAGE_MARGIN, dashboard_page, index_page
from monitoring.rendering.picture import dashboard_picture
from monitoring.rendering.prometheus import Prometheus
from monitoring.rendering.reading import ReadDashboard, read, report
from monitoring.rendering.theme import Theme
from monitoring.rendering.time_range import TimeRange, seconds_of, time_range

#: Where `marketplace run` tells which servers it started in the current directory.
_RUN_FILE = Path("var") / "run.json"


@click.group()
def dashboards() -> None:
    """List the dashboards, and draw them without Grafana."""


@dashboards.command("list")
@json_option
def list_dashboards(*, as_json: bool) -> None:
    """List the dashboards of this product."""
    found = [
        {"name": file.stem, "title": board.title, "description": board.description, "file": str(file)}
        for file in dashboard_files()
        for board in [read_dashboard(file)]
    ]
    if as_json:
        print_json(found)
    else:
        print_table(("Name", "Title", "Shows"), [(one["name"], one["title"], one["description"]) for one in found])


@dashboards.command()
@click.argument("names", nargs=-1, metavar="[NAME_OR_FILE]...")
@click.option("--prometheus", "url", help="Root of a Prometheus; by default that of the stack which runs here.")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), help="Directory for the pages.")
@click.option(
    "--from", "begin", default="6h", show_default=True, help="Span before the end (24h), now-24h, or ISO time."
)
@click.option("--to", "end", default="now", show_default=True, help="now, now-1h, or ISO time.")
@click.option("--var", "assignments", multiple=True, metavar="NAME=VALUE", help="Value of a variable; may be repeated.")
@click.option("--width", type=click.IntRange(320, 4000), default=1440, show_default=True, help="Pixels of a page.")
@click.option("--theme", type=click.Choice(["auto", "light", "dark"]), default="auto", show_default=True)
@click.option(
    "--scrape-interval",
    default=lambda: f"{load_settings().monitoring.scrape_seconds}s",
    show_default="MARKETPLACE_MONITORING__SCRAPE_SECONDS, 5s",
    help="How often Prometheus scrapes.",
)
@click.option(
    "--timeout", type=click.FloatRange(0.1, 600), default=30, show_default=True, help="Seconds for one query."
)
@click.option("--svg", is_flag=True, help="Also write each dashboard as one picture, name.svg.")
@click.option("--require-data", is_flag=True, help="Fail when a panel is empty that does not say it may be.")
@json_option
@click.pass_context
def render(
    context: click.Context,
    names: Sequence[str],
    url: str | None,
    output: Path | None,
    begin: str,
    end: str,
    assignments: Sequence[str],
    width: int,
    theme: Theme,
    scrape_interval: str,
    timeout: float,
    *,
    svg: bool,
    require_data: bool,
    as_json: bool,
) -> None:
    """Draw dashboards from a Prometheus as HTML pages without scripts.

    Without names all dashboards are drawn, with an index.html. With --json every query is listed as it was asked, with
    what it gave; then --output may be left out. Exit 6 when a query failed, when a panel cannot be drawn, or with
    --require-data when a panel is empty; 5 when Prometheus does not answer.
    """
    if output is None and not as_json:
        raise click.UsageError("Missing option '--output'.")
    files = [named_file(name) for name in names] or dashboard_files()
    if not files:
        raise click.UsageError("there are no dashboards: name a file")
    boards = {file: read_dashboard(file) for file in files}
    given = _assignments(assignments, boards.values())
    when = time_range(begin, end, now=float(int(time.time())), scrape_seconds=_scrape_seconds(scrape_interval))
    prometheus = Prometheus(_url(url), timeout_seconds=timeout)
    inner = width - 2 * PAGE_MARGIN
    found = [read(file.stem, board, prometheus, when, given, width=inner) for file, board in boards.items()]
    drawn = [draw(one, width=inner) for one in found]
    if output is not None:
        writer = _Writer(output, boards, width, theme, prometheus.url)
        writer.pages(drawn, with_index=not names, when=when)
        if svg:
            writer.pictures(found)
    problems = [problem for one in drawn for problem in (*one.warnings, *one.read.query_errors)]
    problems += [empty for one in found for empty in one.empty_panels] if require_data else []
    if as_json:
        print_json(_document(found, prometheus.url, problems))
    for problem in problems:
        say(problem)
    if problems:
        context.exit(ExitCode.CHECK_FAILED)


class _Writer:
    """Writes pages and pictures into a directory."""

    def __init__(self, output: Path, boards: dict[Path, Dashboard], width: int, theme: Theme, source: str) -> None:
        self._output = output
        self._pages = [
            KnownPage(board.uid or file.stem, board.title, f"{file.stem}.html", board.tags, board.description)
            for file, board in boards.items()
        ]
        self._width, self._theme, self._source = width, theme, source
        output.mkdir(parents=True, exist_ok=True)

    def pages(self, drawn: Sequence[DrawnDashboard], *, with_index: bool, when: TimeRange) -> None:
        """Write a page for each dashboard."""
        links = Links(self._pages)
        for one in drawn:
            text = dashboard_page(one, links, width=self._width, theme=self._theme, source=self._source)
            self._write(f"{one.read.name}.html", text)
        if with_index:
            self._write("index.html", index_page(self._pages, when=when.text, width=self._width, theme=self._theme))

    def pictures(self, found: Sequence[ReadDashboard]) -> None:
        """Write a picture of each dashboard."""
        for one in found:
            self._write(f"{one.name}.svg", dashboard_picture(one, width=self._width, theme=self._theme))

    def _write(self, name: str, text: str) -> None:
        path = self._output / name
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise click.FileError(str(path), error.strerror or str(error)) from error
        say(f"wrote {path}")


def _document(found: Sequence[ReadDashboard], url: str, problems: Sequence[str]) -> dict[str, Any]:
    return {
        "prometheus": url,
        "from": found[0].when.start,
        "to": found[0].when.end,
        "panels": [panel for one in found for panel in report(one)],
        "problems": list(problems),
    }


def _url(given: str | None) -> str:
    if given:
        return given
    try:
        return str(json.loads(_RUN_FILE.read_text(encoding="utf-8"))["urls"]["prometheus"])
    except (OSError, ValueError, KeyError, TypeError):
        raise click.UsageError("Missing option '--prometheus': no stack with a Prometheus runs here.") from None


def _scrape_seconds(text: str) -> float:
    seconds = seconds_of(text)
    if seconds <= 0:
        raise InvalidInputError("scrape-interval", f"{text[:60]!r} is no span of time: write 5s or 1m")
    return seconds


def _assignments(texts: Sequence[str], boards: Iterable[Dashboard]) -> dict[str, list[str]]:
    """Return the values of variables by name; a name given twice has both values."""
    known = {variable.name for board in boards for variable in board.templating.list}
    found: dict[str, list[str]] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise InvalidInputError("var", f"{text[:60]!r} is not NAME=VALUE")
        if name not in known:
            raise InvalidInputError(
                "var", f"no dashboard has a variable {name!r}; there are: {', '.join(sorted(known))}"
            )
        found.setdefault(name, []).append(value)
    return found
