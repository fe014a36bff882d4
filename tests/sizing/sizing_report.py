"""The report of a sizing run, as Markdown and JSON, and its figures in the documentation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.bench.bench_report import machine
from tests.bench.section import Section

#: What is between these lines of the page is the last run.
_BEGIN, _END = "<!-- figures: make sizing PAGE=docs/reference/sizing.md -->", "<!-- end of figures -->"


@dataclass(frozen=True)
class SizingReport:
    """What a run found, section by section."""

    started_at: datetime
    sections: Sequence[Section]

    def missed(self) -> list[str]:
        """Return every threshold that the run missed, in words."""
        return [missed for section in self.sections for missed in section.missed]


def markdown(report: SizingReport) -> str:
    """Return the report as a page."""
    missed = report.missed()
    lines = [
        f"# Sizing of {report.started_at:%Y-%m-%d %H:%M} UTC",
        "",
        machine(),
        "",
        "Everything is as it should be." if not missed else "Missed: " + "; ".join(missed) + ".",
        "",
    ]
    return "\n".join([*lines, *_sections(report)])


def write_report(report: SizingReport, directory: Path) -> Path:
    """Write the report as Markdown and JSON, and return the path of the Markdown."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"sizing-{report.started_at:%Y%m%dT%H%M%SZ}.md"
    path.write_text(markdown(report), encoding="utf-8")
    figures = {
        "startedAt": report.started_at.isoformat(),
        "machine": machine(),
        **{section.name: section.figures for section in report.sections},
        "missed": report.missed(),
    }
    path.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return path


def write_figures(report: SizingReport, page: Path) -> None:
    """Put the figures of this run into the page of the documentation, in the place of those before."""
    before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    figures = "\n".join([f"Measured on {report.started_at:%Y-%m-%d}: {machine()}", "", *_sections(report)])
    page.write_text(f"{before}{_BEGIN}\n\n{figures}\n{_END}{after}", encoding="utf-8")


def _sections(report: SizingReport) -> list[str]:
    return [line for section in report.sections for line in section.markdown()]
