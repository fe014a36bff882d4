"""The report of an isolation run, and its verdict."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.bench.bench_report import machine
from tests.isolation.arm import Arm, Load, together

#: How much worse throughput and p99 may be while one agent hangs.
MOST_WORSE = 0.10


@dataclass(frozen=True)
class Paired:
    """The runs on one database: without and with the fault, in turn; and with it, but without a guard."""

    database: str
    healthy: Sequence[Arm]
    hanging: Sequence[Arm]
    unguarded: Mapping[str, Arm]

    @property
    def throughput_change(self) -> float:
        """Relative change of the throughput: -0.1 is a tenth less."""
        return together(self.hanging).throughput / together(self.healthy).throughput - 1

    @property
    def p99_change(self) -> float:
        """Relative change of the p99, all runs of a side together."""
        return together(self.hanging).percentile(99) / together(self.healthy).percentile(99) - 1

    @property
    def missed(self) -> list[str]:
        """What the runs missed, in words."""
        found = []
        if self.throughput_change < -MOST_WORSE:
            found.append(f"{self.database}: throughput {self.throughput_change:+.1%}, at most -10 % allowed")
        if not self.p99_change <= MOST_WORSE:
            found.append(f"{self.database}: p99 {self.p99_change:+.1%}, at most +10 % allowed")
        if all(arm.sick_answered == arm.sick for arm in self.hanging):
            found.append(f"{self.database}: the agent did not hang")
        return found


def markdown(started_at: datetime, load: Load, runs: Sequence[Paired]) -> str:
    """Return the report as a page."""
    missed = [what for run in runs for what in run.missed]
    lines = [
        f"# Isolation of {started_at:%Y-%m-%d %H:%M} UTC",
        "",
        machine(),
        "",
        _arrivals(load),
        "",
        "One agent that hangs does not slow the others." if not missed else "Missed: " + "; ".join(missed) + ".",
        "",
        "| Database | Run | Plans | Completed | Throughput | p50 | p99 | Put off | Answered by the sick agent |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for run in runs:
        for number, (healthy, hanging) in enumerate(zip(run.healthy, run.hanging, strict=True), 1):
            lines += [
                _row(run.database, f"{number} all healthy", healthy),
                _row(run.database, f"{number} one hangs", hanging),
            ]
        lines += [
            _row(run.database, "all healthy", together(run.healthy)),
            _row(run.database, "one hangs", together(run.hanging)),
        ]
        lines += [_row(run.database, f"one hangs, {what}", arm) for what, arm in run.unguarded.items()]
        lines.append(f"| {run.database} | change | | | {run.throughput_change:+.1%} | | {run.p99_change:+.1%} | | |")
    return "\n".join([*lines, ""])


def write_report(started_at: datetime, load: Load, runs: Sequence[Paired], directory: Path) -> Path:
    """Write the report as Markdown and JSON, and return the path of the Markdown."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"isolation-{started_at:%Y%m%dT%H%M%SZ}.md"
    path.write_text(markdown(started_at, load, runs), encoding="utf-8")
    figures = [
        {
            "database": run.database,
            "throughputChange": run.throughput_change,
            "p99Change": run.p99_change,
            "healthy": [_figures(arm) for arm in run.healthy],
            "hanging": [_figures(arm) for arm in run.hanging],
            "unguarded": {what: _figures(arm) for what, arm in run.unguarded.items()},
            "missed": run.missed,
        }
        for run in runs
    ]
    path.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return path


def _arrivals(load: Load) -> str:
    """Return the load in words."""
    return (
        f"For each kind of job, {load.rate:g} plans a second come that do without the sick agent, and "
        f"{load.sick_rate:g} that need it; {load.warm_up:g} s are not measured, and then {load.seconds:g} s are."
    )


def _row(database: str, name: str, arm: Arm) -> str:
    cells = (
        database,
        name,
        str(len(arm.seconds)),
        str(arm.completed),
        f"{arm.throughput:.2f}/s",
        _time(arm.percentile(50)),
        _time(arm.percentile(99)),
        str(arm.postponed),
        f"{arm.sick_answered} of {arm.sick}",
    )
    return f"| {' | '.join(cells)} |"


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if math.isfinite(seconds) else "never"


def _figures(arm: Arm) -> Mapping[str, object]:
    """Return the arm as JSON; a percentile that was never reached is null."""
    percentiles = {f"p{percent}": arm.percentile(percent) for percent in (50, 99)}
    return {
        "plans": len(arm.seconds),
        "completed": arm.completed,
        "throughput": arm.throughput,
        **{name: value if math.isfinite(value) else None for name, value in percentiles.items()},
        "postponed": arm.postponed,
        "sick": arm.sick,
        "sickAnswered": arm.sick_answered,
    }
