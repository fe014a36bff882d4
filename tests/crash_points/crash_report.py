"""The report of a crash-point run, as Markdown and JSON, and its figures in the documentation."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from tests.crash_points.crash_runs import Measured

_DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}

#: What is between these lines of the page is the last run.
_BEGIN, _END = "<!-- figures: make crash-points PAGE=docs/reference/crash-points.md -->", "<!-- end of figures -->"


def markdown(started_at: datetime, measured: Sequence[Measured]) -> str:
    """Return the report as a page."""
    missed = [what for row in measured for what in row.missed]
    return "\n".join(
        [
            f"# Crash points of {started_at:%Y-%m-%d %H:%M} UTC",
            "",
            _where(),
            "",
            "Everything is as it should be." if not missed else "Missed: " + "; ".join(missed) + ".",
            "",
            _table(measured),
            "",
        ]
    )


def write_report(started_at: datetime, measured: Sequence[Measured], directory: Path) -> Path:
    """Write the report as Markdown and JSON, and return the path of the Markdown."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"crash-points-{started_at:%Y%m%dT%H%M%SZ}.md"
    path.write_text(markdown(started_at, measured), encoding="utf-8")
    figures = [
        {
            "name": m.row.name,
            "killed": m.row.killed,
            "failpoint": m.row.point,
            "database": m.database,
            "jobs": m.jobs,
            "seconds": round(m.seconds, 2),
            "mostSeconds": m.row.seconds,
            "lost": m.verdict.lost,
            "duplicated": m.verdict.duplicated,
            "stuck": m.verdict.stuck,
            "dead": m.verdict.dead,
            "missed": m.missed,
        }
        for m in measured
    ]
    path.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return path


def write_figures(started_at: datetime, measured: Sequence[Measured], page: Path) -> None:
    """Put the figures of this run into the page of the documentation, in the place of those before."""
    before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    figures = f"{_table(measured)}\n\nMeasured on {started_at:%Y-%m-%d}: {_where()}"
    page.write_text(f"{before}{_BEGIN}\n\n{figures}\n\n{_END}{after}", encoding="utf-8")


def _table(measured: Sequence[Measured]) -> str:
    """Return one line per row of the crash table, with a column for each database."""
    databases = [name for name in _DATABASES if any(m.database == name for m in measured)]
    rows = list(dict.fromkeys(m.row.name for m in measured))
    found = {(m.row.name, m.database): m for m in measured}
    lines = [
        f"| Killed | Left behind | Failpoint | At most | {' | '.join(_DATABASES[name] for name in databases)} |",
        f"| --- | --- | --- | --- |{' --- |' * len(databases)}",
    ]
    for name in rows:
        row = next(m.row for m in measured if m.row.name == name)
        point = f"`{row.point}`" if row.point else "-"
        seconds = [_seconds(found.get((name, database))) for database in databases]
        lines.append(f"| {row.killed} | {row.left_behind} | {point} | {row.seconds:.0f} s | {' | '.join(seconds)} |")
    return "\n".join(lines)


def _seconds(measured: Measured | None) -> str:
    return "-" if measured is None else f"{measured.seconds:.1f} s"


def _where() -> str:
    return (
        f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f} at the end, Python {platform.python_version()}."
    )
