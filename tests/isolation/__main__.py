"""`make isolation`: what an agent that hangs does to plans that do without it, in one paired run.

Runs without and with the fault alternate, on stacks of their own, with all defaults; at the end come runs with the
fault and without what guards the other plans. Exit code 6 when throughput or p99 are more than a tenth worse.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import click

from tests.bench.databases import Databases
from tests.isolation.arm import Arm, Load, play
from tests.isolation.isolation_report import Paired, markdown, write_report
from tests.servers import running_valkey

_MISSED = 6

_NO_BULKHEAD = {"MARKETPLACE_AGENTS__BULKHEAD_SHARE": "1"}
_NO_BREAKER = {"MARKETPLACE_BREAKERS__FAILURE_THRESHOLD": "1000"}
_UNGUARDED = {
    "no breaker": _NO_BREAKER,
    "no bulkhead": _NO_BULKHEAD,
    "neither": _NO_BREAKER | _NO_BULKHEAD,
}


@click.command
@click.option("--database", "chosen", multiple=True, type=click.Choice(["SQLite", "PostgreSQL"]), help="Default: both.")
@click.option("--pairs", default=3, show_default=True, help="Runs without and with the fault, in turn.")
@click.option(
    "--rate", default=4.0, show_default=True, help="Plans per second and kind of job, without the sick agent."
)
@click.option("--sick-rate", default=1.0, show_default=True, help="Plans per second and kind of job, with it.")
@click.option("--warm-up", default=15.0, show_default=True, help="Seconds before the measurement, under the same load.")
@click.option("--seconds", default=60.0, show_default=True, help="Seconds that are measured.")
@click.option("--compare/--no-compare", default=True, help="Whether to run once without each guard.")
@click.option("--report-dir", default="var/reports", show_default=True, type=click.Path(path_type=Path))
@click.pass_context
def isolation(
    context: click.Context,
    *,
    chosen: tuple[str, ...],
    pairs: int,
    rate: float,
    sick_rate: float,
    warm_up: float,
    seconds: float,
    compare: bool,
    report_dir: Path,
) -> None:
    """Run, print and write the report."""
    load = Load(rate, sick_rate, warm_up, seconds)
    started_at = datetime.now(UTC)
    runs: list[Paired] = []
    with tempfile.TemporaryDirectory(prefix="marketplace-isolation-") as name, ExitStack() as servers:
        directory = Path(name)
        databases = Databases(directory, servers, chosen or ("SQLite", "PostgreSQL"))
        for database in databases.names:
            arms = _Arms(directory / database, databases, database, load)
            healthy, hanging = [], []
            for number in range(1, pairs + 1):
                healthy.append(arms.play(f"{number}: all healthy", hangs=False))
                hanging.append(arms.play(f"{number}: one hangs", hangs=True))
            unguarded = {
                what: arms.play(f"one hangs, {what}", hangs=True, **settings)
                for what, settings in (_UNGUARDED if compare else {}).items()
            }
            runs.append(Paired(database, healthy, hanging, unguarded))
    click.echo(markdown(started_at, load, runs))
    click.echo(f"report: {write_report(started_at, load, runs, report_dir)}", err=True)
    if any(run.missed for run in runs):
        context.exit(_MISSED)


class _Arms:
    """The arms on one kind of database, each with a database and a Valkey of its own."""

    def __init__(self, directory: Path, databases: Databases, database: str, load: Load) -> None:
        self._directory = directory
        self._databases = databases
        self._database = database
        self._load = load
        self._played = 0

    def play(self, what: str, *, hangs: bool, **settings: str) -> Arm:
        self._played += 1
        directory = self._directory / str(self._played)
        directory.mkdir(parents=True)
        with self._databases.new(self._database) as url, running_valkey(directory / "valkey") as redis_url:
            arm = play(directory / "stack", url, redis_url, self._load, hangs=hangs, **settings)
        click.echo(
            f"{self._database} {what}: {arm.completed} of {len(arm.seconds)} plans, p99 {arm.percentile(99):.3f} s",
            err=True,
        )
        return arm


if __name__ == "__main__":
    isolation()
