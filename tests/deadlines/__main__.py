"""`make deadlines`: call servers that drip, hang, stop or swell, and time the end of each call.

Exit code 6 when one ends later than 0.3 s after its deadline, with another error, or takes too much memory.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click

from tests.deadlines.ends import ends, markdown, write_report

_MISSED = 6


@click.command
@click.option("--seconds", default=2.0, show_default=True, help="Deadline of each call.")
@click.option("--report-dir", default="var/reports", show_default=True, type=click.Path(path_type=Path))
@click.pass_context
def deadlines(context: click.Context, *, seconds: float, report_dir: Path) -> None:
    """Call, print and write the report."""
    started_at = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="marketplace-deadlines-") as directory:
        found = ends(Path(directory), seconds=seconds)
    click.echo(markdown(started_at, found))
    click.echo(f"report: {write_report(started_at, found, report_dir)}", err=True)
    if any(end.missed() for end in found):
        context.exit(_MISSED)


if __name__ == "__main__":
    deadlines()
