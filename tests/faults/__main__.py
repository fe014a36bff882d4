"""`make faults`: what is lost, done twice or stuck when things break under load. Exit code 6 when anything is."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click

from tests.faults.fault_report import markdown, write_report
from tests.faults.faulty_stack import tell
from tests.faults.scenario import POSTGRESQL, SQLITE, Outcome, play
from tests.faults.scenarios import SCENARIOS
from tests.servers import postgres_binaries

_MISSED = 6


@click.command
@click.option("--scenario", "names", multiple=True, type=click.Choice(list(SCENARIOS)), help="Default: all.")
@click.option("--database", "chosen", multiple=True, type=click.Choice([SQLITE, POSTGRESQL]), help="Default: both.")
@click.option("--jobs", default=1000, show_default=True, help="Plans that are approved in each run.")
@click.option("--rate", default=50.0, show_default=True, help="Approvals per second.")
@click.option("--report-dir", default="var/reports", show_default=True, type=click.Path(path_type=Path))
@click.pass_context
def faults(
    context: click.Context,
    *,
    names: tuple[str, ...],
    chosen: tuple[str, ...],
    jobs: int,
    rate: float,
    report_dir: Path,
) -> None:
    """Break things under load, print what became of the jobs, and write the report."""
    databases = set(chosen or (SQLITE, POSTGRESQL))
    if POSTGRESQL in databases and postgres_binaries() is None:
        tell("PostgreSQL is left out: it is not installed (`make tools`)")
        databases.remove(POSTGRESQL)
    started_at = datetime.now(UTC)
    outcomes: list[Outcome] = []
    for scenario in (SCENARIOS[name] for name in names or SCENARIOS):
        for database in (name for name in scenario.databases if name in databases):
            with tempfile.TemporaryDirectory(prefix="marketplace-faults-") as directory:
                outcomes.append(play(scenario, database, Path(directory), jobs=jobs, rate=rate))
            tell(f"{scenario.name} on {database}: {'; '.join(outcomes[-1].missed) or 'good'}")
    click.echo(markdown(started_at, outcomes))
    tell(f"report: {write_report(started_at, outcomes, report_dir)}")
    if any(outcome.missed for outcome in outcomes):
        context.exit(_MISSED)


if __name__ == "__main__":
    faults()
