"""The figures of a sizing run in the documentation."""

from __future__ import annotations

from pathlib import Path

from tests.bench.bench_report import BenchReport, machine, tables

#: What is between these lines of the page is the last run.
_BEGIN, _END = "<!-- figures: make sizing PAGE=docs/reference/sizing.md -->", "<!-- end of figures -->"


def write_figures(report: BenchReport, page: Path) -> None:
    """Put the figures of this run into the page of the documentation, in the place of those before."""
    before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    figures = "\n".join([f"Measured on {report.started_at:%Y-%m-%d}: {machine()}", "", *tables(report)])
    page.write_text(f"{before}{_BEGIN}\n\n{figures}\n{_END}{after}", encoding="utf-8")
