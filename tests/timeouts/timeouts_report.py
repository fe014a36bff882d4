"""The report of the comparison of timeouts, as Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from tests.bench.bench_report import machine
from tests.timeouts.closed_loop import Outcome
from tests.timeouts.comparison import HANG_SHARES, MOST_CUT, MOST_WASTE, POLICIES, SEEDS, Cell, missed, total
from tests.timeouts.workloads import WORKLOADS


@dataclass(frozen=True)
class TimeoutsReport:
    """What a run found; `calls` is the length of each run."""

    started_at: datetime
    calls: int
    cells: Sequence[Cell]


def markdown(report: TimeoutsReport) -> str:
    """Return the report as a page."""
    faults = missed(report.cells)
    lines = [
        f"# Timeout policies, {report.started_at:%Y-%m-%d %H:%M} UTC",
        "",
        machine(),
        f"Each cell: {len(SEEDS)} seeds of {report.calls:,} calls.",
        "First the share of healthy calls cut off, then seconds that a worker waited for nothing per 1,000 calls.",
        "A single cell beyond the limits of the whole is marked with an asterisk.",
        "",
        "Every threshold is met." if not faults else "Missed: " + "; ".join(faults) + ".",
        "",
    ]
    for share in HANG_SHARES:
        lines += [
            f"## {share:.1%} of the calls hang",
            "",
            "| Workload | fixed 10 s | rule | learned | learned / rule |",
            "| --- | --- | --- | --- | --- |",
        ]
        for workload in WORKLOADS:
            of = {cell.policy: cell.outcome for cell in _at(report, share) if cell.workload == workload.name}
            lines.append(_row(workload.title, of, marked=True))
        lines += [_row("**all**", {policy: total(report.cells, policy, share) for policy in POLICIES}), ""]
    return "\n".join(lines)


def write_report(report: TimeoutsReport, directory: Path) -> Path:
    """Write the report as Markdown and JSON, and return the path of the Markdown."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"timeouts-{report.started_at:%Y%m%dT%H%M%SZ}.md"
    path.write_text(markdown(report), encoding="utf-8")
    figures = {
        "startedAt": report.started_at.isoformat(),
        "machine": machine(),
        "callsPerRun": report.calls,
        "seeds": SEEDS,
        "cells": [
            {
                **asdict(cell),
                "cutShare": cell.outcome.cut_share,
                "wastedSecondsPerThousandCalls": cell.outcome.wasted_per_thousand,
            }
            for cell in report.cells
        ],
        "missed": missed(report.cells),
    }
    path.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return path


def _at(report: TimeoutsReport, share: float) -> list[Cell]:
    return [cell for cell in report.cells if cell.hang_share == share]


def _row(title: str, of: dict[str, Outcome], *, marked: bool = False) -> str:
    figures = [f"{outcome.cut_share:.2%}, {outcome.wasted_per_thousand:,.0f} s" for outcome in of.values()]
    learned, rule = of["learned"], of["rule"]
    beyond = learned.cut_share > MOST_CUT or learned.wasted_seconds > MOST_WASTE * rule.wasted_seconds
    part = f"{learned.wasted_seconds / rule.wasted_seconds:.0%}" if rule.wasted_seconds else "-"
    return f"| {title} | {' | '.join(figures)} | {part}{' *' if marked and beyond else ''} |"
