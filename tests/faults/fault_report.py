"""The report of fault runs, as Markdown and JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from tests.faults.scenario import MOST_SECONDS, Outcome

_DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def markdown(started_at: datetime, outcomes: Sequence[Outcome]) -> str:
    """Return the report as a page."""
    missed = [what for outcome in outcomes for what in outcome.missed]
    return "\n".join(
        [
            f"# Fault runs of {started_at:%Y-%m-%d %H:%M} UTC",
            "",
            f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}.",
            "",
            "Everything is as it should be." if not missed else "Missed: " + "; ".join(missed) + ".",
            "",
            "| Fault | Database | Jobs | Lost | Duplicated | Stuck | Dead | Cut off | Asked again | Last job done |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
            *(
                f"| {o.title} | {_DATABASES[o.database]} | {o.jobs} | {o.verdict.lost} | {o.verdict.duplicated} "
                f"| {o.verdict.stuck} | {o.verdict.dead} | {o.verdict.crashes} | {o.repeated} | {o.seconds:.1f} s |"
                for o in outcomes
            ),
            "",
            f"*Last job done* counts from the end of the fault; at most {MOST_SECONDS:.0f} s are allowed.",
            "*Cut off* are runs whose process died, froze or hung; each ran again.",
            "*Asked again* are approvals that the client sent more than once because no answer came.",
            "",
        ]
    )


def write_report(started_at: datetime, outcomes: Sequence[Outcome], directory: Path) -> Path:
    """Write the report as Markdown and JSON, and return the path of the Markdown."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"faults-{started_at:%Y%m%dT%H%M%SZ}.md"
    path.write_text(markdown(started_at, outcomes), encoding="utf-8")
    figures = [asdict(outcome) | {"missed": outcome.missed} for outcome in outcomes]
    path.with_suffix(".json").write_text(json.dumps(figures, indent=2, default=str) + "\n", encoding="utf-8")
    return path
