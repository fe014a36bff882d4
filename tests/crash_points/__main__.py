"""`make crash-points`: kill at every row of the crash table, and see what becomes of the jobs.

Exit code 6 when anything is lost, done twice or stuck, or takes too long.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from tests.crash_points.crash_report import markdown, write_figures, write_report
from tests.crash_points.crash_rows import crash_rows
from tests.crash_points.crash_runs import Measured, measure_rows
from tests.faults.faulty_stack import tell
from tests.faults.scenario import POSTGRESQL, SQLITE
from tests.servers import postgres_binaries

_MISSED = 6


@click.command
@click.option(
    "--row", "names", multiple=True, type=click.Choice([row.name for row in crash_rows()]), help="Default: all."
)
@click.option("--database", "chosen", multiple=True, type=click.Choice([SQLITE, POSTGRESQL]), help="Default: both.")
@click.option("--report-dir", default="var/reports", show_default=True, type=click.Path(path_type=Path))
@click.option(
    "--page", "target", type=click.Path(exists=True, path_type=Path), help="Also put the figures into this page."
)
@click.pass_context
def crash_points(
    context: click.Context, *, names: tuple[str, ...], chosen: tuple[str, ...], report_dir: Path, target: Path | None
) -> None:
    """Kill, print what became of the jobs, and write the report."""
    databases = list(chosen or (SQLITE, POSTGRESQL))
    if POSTGRESQL in databases and postgres_binaries() is None:
        tell("PostgreSQL is left out: it is not installed (`make tools`)")
        databases.remove(POSTGRESQL)
    started_at = datetime.now(UTC)
    measured: list[Measured] = []
    for database in databases:
        rows = [row for row in crash_rows() if database in row.databases and (not names or row.name in names)]
        for row in measure_rows(database, rows):
            measured.append(row)
            tell(f"{row.row.name} on {database}: {row.seconds:.1f} s{''.join(f', {what}' for what in row.missed)}")
    click.echo(markdown(started_at, measured))
    tell(f"report: {write_report(started_at, measured, report_dir)}")
    if target:
        write_figures(started_at, measured, target)
    if any(row.missed for row in measured):
        context.exit(_MISSED)


if __name__ == "__main__":
    crash_points()
