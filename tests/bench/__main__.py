"""`make bench`: latency at a steady rate, and drain throughput beside a bare Dramatiq actor, in one run.

One real Valkey; SQLite, and PostgreSQL where it is installed. Exit code 6 when a threshold is missed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from tests.bench.bench_report import BenchReport, Drained, markdown, write_report
from tests.bench.drain import drain
from tests.bench.latency import Latency, latency, running_stack
from tests.servers import postgres_binaries, postgres_database, running_postgres, running_valkey

_THRESHOLD_MISSED = 6


@click.command
@click.option("--jobs", default=2000, show_default=True, help="Queued jobs of one drain round.")
@click.option("--rounds", default=5, show_default=True, help="Drain rounds of each side, in turn.")
@click.option("--approvals", default=1000, show_default=True, help="Approvals of the latency run; 0 leaves it out.")
@click.option("--rate", default=50.0, show_default=True, help="Approvals per second.")
@click.option("--database", "chosen", multiple=True, type=click.Choice(["SQLite", "PostgreSQL"]), help="Default: both.")
@click.option("--report-dir", default="var/reports", show_default=True, type=click.Path(path_type=Path))
@click.pass_context
def bench(
    context: click.Context,
    *,
    jobs: int,
    rounds: int,
    approvals: int,
    rate: float,
    chosen: tuple[str, ...],
    report_dir: Path,
) -> None:
    """Measure, print and write the report."""
    started_at = datetime.now(UTC)
    latencies: dict[str, Latency] = {}
    drained: dict[str, Drained] = {}
    with tempfile.TemporaryDirectory(prefix="marketplace-bench-") as name, ExitStack() as servers:
        directory = Path(name)
        redis_url = servers.enter_context(running_valkey(directory / "valkey"))
        databases = _Databases(directory, servers, chosen or ("SQLite", "PostgreSQL"))
        for database in databases.names:
            if approvals:
                click.echo(f"latency on {database}: {approvals} approvals at {rate:g}/s", err=True)
                with databases.new(database) as url, running_stack(directory / database, url, redis_url) as client:
                    latencies[database] = latency(client, rate=rate, count=approvals)
            drained[database] = _drain_in_turn(databases, database, redis_url, jobs, rounds, directory)
    report = BenchReport(
        started_at=started_at,
        rate=rate,
        latency_count=approvals,
        drain_count=jobs,
        latency=latencies,
        drained=drained,
    )
    click.echo(markdown(report))
    click.echo(f"report: {write_report(report, report_dir)}", err=True)
    if report.missed():
        context.exit(_THRESHOLD_MISSED)


class _Databases:
    """A new, empty database for every round."""

    def __init__(self, directory: Path, servers: ExitStack, chosen: Sequence[str]) -> None:
        self._directory = directory
        self._made = 0
        self._postgres: str | None = None
        self.names = list(chosen)
        if "PostgreSQL" in self.names:
            binaries = postgres_binaries()
            if binaries is None:
                click.echo("PostgreSQL is left out: it is not installed (`make tools`)", err=True)
                self.names.remove("PostgreSQL")
            else:
                self._postgres = servers.enter_context(running_postgres(binaries))

    @contextmanager
    def new(self, name: str) -> Iterator[str]:
        if name == "PostgreSQL" and self._postgres:
            with postgres_database(self._postgres) as url:
                yield url
        else:
            self._made += 1
            yield f"sqlite:///{self._directory / f'{self._made}.db'}"


def _drain_in_turn(
    databases: _Databases, database: str, redis_url: str, jobs: int, rounds: int, directory: Path
) -> Drained:
    figures: dict[str, list[float]] = {"ours": [], "bare": []}
    for number in range(rounds):
        for contestant in ("ours", "bare") if number % 2 == 0 else ("bare", "ours"):
            with databases.new(database) as url:
                figure = drain(contestant, url, redis_url, count=jobs, seed=number, log_directory=directory)
            click.echo(f"drain on {database}, round {number + 1}, {contestant}: {figure:.0f} jobs/s", err=True)
            figures[contestant].append(figure)
    return Drained(ours=tuple(figures["ours"]), bare=tuple(figures["bare"]))


if __name__ == "__main__":
    bench()
