"""`make sizing`: what a deployment needs: memory, rows, connections and CPU time per job and per process.

A real Valkey and a real PostgreSQL; Linux, for what processes use is read from /proc. Exit code 6 when the scheduler
lets more hints wait than WINDOW.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click

from app.logs import configure_logs
from app.settings import LogSettings
from tests.bench.bench_report import BenchReport, markdown, write_report
from tests.bench.section import Section
from tests.servers import PostgresServer, postgres_binaries, postgres_database, postgres_server_in, running_valkey
from tests.sizing.hint_memory import hint_memory, hint_section
from tests.sizing.role_costs import role_costs, role_sections
from tests.sizing.sizing_page import write_figures
from tests.sizing.table_sizes import tables_section
from tests.sizing.worker_rate import rate_section, worker_rates

_MISSED = 6
_PARTS = ("hints", "roles", "worker")

#: Threads for analyses, and seconds that agents take.
_ROUNDS = ((8, 0.25), (8, 1.0), (8, 4.0), (32, 4.0))


@click.command
@click.option("--part", "parts", multiple=True, type=click.Choice(_PARTS), help="Default: all.")
@click.option("--hints", "hints", multiple=True, type=int, default=(200, 2_000, 100_000), show_default=True)
@click.option("--plans", default=600, show_default=True, help="Plans of each way.")
@click.option("--rate", default=10.0, show_default=True, help="Plans a second.")
@click.option("--idle", default=30.0, show_default=True, help="Seconds for which the idle stack is watched.")
@click.option("--round", "rounds", multiple=True, type=(int, float), default=_ROUNDS, help="Threads, seconds.")
@click.option("--phase1", default=1000, show_default=True, help="Phase 1 jobs that one worker works off.")
@click.option("--report-dir", default="var/reports", show_default=True, type=click.Path(path_type=Path))
@click.option(
    "--page", "target", type=click.Path(exists=True, path_type=Path), help="Also put the figures into this page."
)
@click.pass_context
def sizing(
    context: click.Context,
    *,
    parts: tuple[str, ...],
    hints: tuple[int, ...],
    plans: int,
    rate: float,
    idle: float,
    rounds: tuple[tuple[int, float], ...],
    phase1: int,
    report_dir: Path,
    target: Path | None,
) -> None:
    """Measure, print and write the report."""
    binaries = postgres_binaries()
    if binaries is None or not sys.platform.startswith("linux"):
        raise click.ClickException("this needs PostgreSQL (`make tools`) and Linux")
    configure_logs(LogSettings(level="ERROR"))
    started_at = datetime.now(UTC)

    def measured(directory: Path, postgres: PostgresServer) -> list[Section]:
        sections: list[Section] = []
        if "hints" in (parts or _PARTS):
            _tell(f"hints: up to {max(hints):,} jobs wait")
            with running_valkey(directory / "valkey") as redis_url, postgres_database(postgres.url) as url:
                sections.append(hint_section(hint_memory(url, redis_url, counts=sorted(hints))))
        if "roles" in (parts or _PARTS):
            _tell(f"roles: idle for {idle:g} s, then {plans} plans of each way, {rate:g} a second")
            costs = role_costs(_new(directory / "roles"), postgres, count=plans, rate=rate, idle_seconds=idle)
            tables = {way: loaded.tables for way, loaded in costs.loaded.items()}
            sections += [tables_section(tables), *role_sections(costs)]
        if "worker" in (parts or _PARTS):
            _tell(f"worker: {phase1} Phase 1 jobs, then analyses with {len(rounds)} latencies of agents")
            rates = worker_rates(_new(directory / "worker"), postgres, rounds=rounds, phase1=phase1)
            sections.append(rate_section(rates))
        return sections

    with tempfile.TemporaryDirectory(prefix="marketplace-sizing-") as name, postgres_server_in(binaries) as postgres:
        report = BenchReport(started_at, measured(Path(name), postgres), title="Sizing", name="sizing")
    click.echo(markdown(report))
    _tell(f"report: {write_report(report, report_dir)}")
    if target:
        write_figures(report, target)
    if report.missed():
        context.exit(_MISSED)


def _new(directory: Path) -> Path:
    directory.mkdir()
    return directory


def _tell(what: str) -> None:
    click.echo(what, err=True)


if __name__ == "__main__":
    sizing()
