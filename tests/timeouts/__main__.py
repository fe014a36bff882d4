"""`make timeouts`: a fixed timeout, the rule and the learned one side by side, with a report.

Exit code 6 when the learned one cuts off or wastes more than it may.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from tests.timeouts.comparison import compare, missed
from tests.timeouts.timeouts_report import TimeoutsReport, markdown, write_report

_THRESHOLD_MISSED = 6


@click.command
@click.option("--calls", default=4000, show_default=True, help="Calls of each run.")
@click.option("--report-dir", default="var/reports", show_default=True, type=click.Path(path_type=Path))
@click.pass_context
def timeouts(context: click.Context, *, calls: int, report_dir: Path) -> None:
    """Compare, print and write the report."""
    started_at = datetime.now(UTC)
    report = TimeoutsReport(started_at, calls, compare(calls))
    click.echo(markdown(report))
    click.echo(f"report: {write_report(report, report_dir)}", err=True)
    if missed(report.cells):
        context.exit(_THRESHOLD_MISSED)


if __name__ == "__main__":
    timeouts()
