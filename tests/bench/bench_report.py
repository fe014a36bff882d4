"""The report of a benchmark run: figures, the threshold, and their text as Markdown and JSON."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

from tests.bench.latency import Latency

#: Our drain throughput beside the bare actor's, at least.
SMALLEST_RATIO = 0.7


@dataclass(frozen=True)
class Drained:
    """Jobs per second of every round, in the order of the rounds: ours and bare alternate."""

    ours: tuple[float, ...]
    bare: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Our median beside the bare actor's."""
        return median(self.ours) / median(self.bare)


@dataclass(frozen=True)
class BenchReport:
    """Figures by database."""

    started_at: datetime
    rate: float
    latency_count: int
    drain_count: int
    latency: dict[str, Latency]
    drained: dict[str, Drained]

    def missed(self) -> list[str]:
        """Return every threshold that the run missed, in words."""
        return [
            f"drain on {database}: {drained.ratio:.2f} of the bare actor, at least {SMALLEST_RATIO} expected"
            for database, drained in self.drained.items()
            if drained.ratio < SMALLEST_RATIO
        ]


def markdown(report: BenchReport) -> str:
    """Return the report as a page."""
    missed = report.missed()
    lines = [
        f"# Benchmarks of {report.started_at:%Y-%m-%d %H:%M} UTC",
        "",
        machine(),
        "",
        "Every threshold is met." if not missed else "Missed: " + "; ".join(missed) + ".",
        "",
        f"## Approval to completion, {report.latency_count} approvals at {report.rate:g} per second",
        "",
        "| Database | Rate reached | Approve p50 | Approve p99 | Completed p50 | Completed p99 |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {database} | {figures.rate:.1f}/s | "
            + " | ".join(
                f"{seconds * 1000:.0f} ms"
                for seconds in (
                    figures.approve_p50,
                    figures.approve_p99,
                    figures.completion_p50,
                    figures.completion_p99,
                )
            )
            + " |"
            for database, figures in report.latency.items()
        ),
        "",
        f"## Drain of {report.drain_count} queued Phase 1 jobs by one process of 8 threads",
        "",
        "| Database | Ours, median | Bare actor, median | Ours / bare | Rounds, ours | Rounds, bare |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {database} | {median(drained.ours):.0f}/s | {median(drained.bare):.0f}/s | {drained.ratio:.2f} | "
            f"{_rounds(drained.ours)} | {_rounds(drained.bare)} |"
            for database, drained in report.drained.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def write_report(report: BenchReport, directory: Path) -> Path:
    """Write the report as Markdown and JSON, and return the path of the Markdown."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"bench-{report.started_at:%Y%m%dT%H%M%SZ}.md"
    path.write_text(markdown(report), encoding="utf-8")
    figures = {
        "startedAt": report.started_at.isoformat(),
        "machine": machine(),
        "latency": {database: asdict(latency) for database, latency in report.latency.items()},
        "drain": {database: asdict(drained) | {"ratio": drained.ratio} for database, drained in report.drained.items()},
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


def _rounds(figures: tuple[float, ...]) -> str:
    return ", ".join(f"{figure:.0f}" for figure in figures)
