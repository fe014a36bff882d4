"""The report of a run that measures, as Markdown and JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.bench.section import Section


@dataclass(frozen=True)
class BenchReport:
    """What a run found, section by section; `name` begins the names of its files."""

    started_at: datetime
    sections: Sequence[Section]
    title: str = "Benchmarks"
    name: str = "bench"

    def missed(self) -> list[str]:
        """Return every threshold that the run missed, in words."""
        return [missed for section in self.sections for missed in section.missed]


def markdown(report: BenchReport) -> str:
    """Return the report as a page."""
    missed = report.missed()
    lines = [
        f"# {report.title} of {report.started_at:%Y-%m-%d %H:%M} UTC",
        "",
        machine(),
        "",
        "Every threshold is met." if not missed else "Missed: " + "; ".join(missed) + ".",
        "",
    ]
    return "\n".join([*lines, *tables(report)])


def tables(report: BenchReport) -> list[str]:
    """Return the lines of every section."""
    return [line for section in report.sections for line in section.markdown()]


def write_report(report: BenchReport, directory: Path) -> Path:
    """Write the report as Markdown and JSON, and return the path of the Markdown."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{report.name}-{report.started_at:%Y%m%dT%H%M%SZ}.md"
    path.write_text(markdown(report), encoding="utf-8")
    figures = {
        "startedAt": report.started_at.isoformat(),
        "machine": machine(),
        **{section.name: section.figures for section in report.sections},
        "missed": report.missed(),
    }
    path.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return path


def machine() -> str:
    """Return one line about where the run took place."""
    return (
        f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f} before the report, Python {platform.python_version()}."
    )
