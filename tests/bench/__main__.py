"""`make bench`: latency, throughput beside a bare Dramatiq actor, and the cost of a backlog, in one run.

One real Valkey; SQLite, and PostgreSQL where it is installed. Exit code 6 when a threshold is missed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import click

from app.logs import configure_logs
from app.settings import LogSettings
from tests.bench.backlog import backlog, backlog_section, sweep_costs, sweep_section
from tests.bench.bench_report import BenchReport, markdown, write_report
from tests.bench.databases import Databases
from tests.bench.latency import idle_latency, idle_section, latency, running_stack, steady_section
from tests.bench.scrape import scrape_costs, scrape_section
from tests.bench.section import Section
from tests.bench.shares import shares_of_bare, shares_of_ours, shares_section
from tests.bench.stuck import found_after, stuck_section
from tests.bench.throughput import drain_in_turn, throughput_section
from tests.servers import running_valkey

_THRESHOLD_MISSED = 6
_PARTS = ("latency", "stuck", "drain", "shares", "backlog", "scrape")


class _Bench:
    """One run: its servers, and its sizes."""

    def __init__(self, databases: Databases, redis_url: str, directory: Path) -> None:
        self._databases = databases
        self._redis_url = redis_url
        self._directory = directory

    def latency(self, *, approvals: int, rate: float, idle: int) -> list[Section]:
        steady, alone = {}, {}
        for name in self._databases.names:
            _tell(f"latency on {name}: {approvals} approvals at {rate:g}/s, then {idle} one by one")
            with (
                self._databases.new(name) as url,
                running_stack(self._directory / name, url, self._redis_url) as client,
            ):
                steady[name] = latency(client, rate=rate, count=approvals)
                alone[name] = idle_latency(client, self._redis_url, count=idle)
        return [steady_section(steady, rate=rate, count=approvals), idle_section(alone, count=idle)]

    def stuck(self, *, count: int) -> list[Section]:
        measured = {}
        for name in self._databases.names:
            _tell(f"stuck plans on {name}: {count} of them")
            with self._databases.new(name) as url:
                measured[name] = found_after(self._directory / f"stuck-{name}", url, self._redis_url, count=count)
        return [stuck_section(measured, count=count)]

    def drain(self, *, jobs: int, rounds: int, processes: Sequence[int]) -> list[Section]:
        drained = {
            (name, number): drain_in_turn(
                self._databases,
                name,
                self._redis_url,
                self._directory,
                jobs=jobs,
                rounds=rounds,
                processes=number,
            )
            for name in self._databases.names
            for number in processes
        }
        return [throughput_section(drained, jobs=jobs)]

    def shares(self, *, jobs: int) -> list[Section]:
        measured = {}
        for name in self._databases.names:
            _tell(f"shares of the time on {name}")
            with self._databases.new(name) as ours, self._databases.new(name) as bare:
                measured[name] = shares_of_ours(ours, self._redis_url, count=jobs), shares_of_bare(bare, count=jobs)
        return [shares_section(measured, count=jobs)]

    def backlog(self, *, queued: int, finished: tuple[int, ...]) -> list[Section]:
        queues, sweeps = {}, {}
        for name in self._databases.names:
            _tell(f"backlog on {name}: {queued:,} jobs, then up to {max(finished):,} finished ones beside them")
            with self._databases.new(name) as url:
                queues[name] = backlog(url, self._redis_url, count=queued)
            with self._databases.new(name) as url:
                sweeps[name] = sweep_costs(url, self._redis_url, pending=queued, finished=finished)
        return [backlog_section(queues, count=queued), sweep_section(sweeps, pending=queued)]

    def scrape(self, *, count: int) -> list[Section]:
        _tell(f"scrapes: {count} of one process, and of several together")
        return [scrape_section(scrape_costs(self._directory / "metrics", count=count), count=count)]


@click.command
@click.option("--part", "parts", multiple=True, type=click.Choice(_PARTS), help="Default: all.")
@click.option("--jobs", default=2000, show_default=True, help="Queued jobs of one drain round, and of the shares.")
@click.option("--rounds", default=3, show_default=True, help="Drain rounds of each side, in turn.")
@click.option("--processes", multiple=True, type=int, default=(1, 2, 4), show_default=True, help="Worker processes.")
@click.option("--approvals", default=1000, show_default=True, help="Approvals at the steady rate.")
@click.option("--rate", default=50.0, show_default=True, help="Approvals per second.")
@click.option("--idle", default=40, show_default=True, help="Approvals on an idle system.")
@click.option("--stuck", default=20, show_default=True, help="Plans that are made to be stuck.")
@click.option("--queued", default=100_000, show_default=True, help="Jobs of the backlog.")
@click.option("--finished", multiple=True, type=int, default=(10_000, 1_000_000), show_default=True)
@click.option("--scrapes", default=200, show_default=True, help="Scrapes of an endpoint.")
@click.option("--database", "chosen", multiple=True, type=click.Choice(["SQLite", "PostgreSQL"]), help="Default: both.")
@click.option("--report-dir", default="var/reports", show_default=True, type=click.Path(path_type=Path))
@click.pass_context
def bench(
    context: click.Context,
    *,
    parts: tuple[str, ...],
    jobs: int,
    rounds: int,
    processes: tuple[int, ...],
    approvals: int,
    rate: float,
    idle: int,
    stuck: int,
    queued: int,
    finished: tuple[int, ...],
    scrapes: int,
    chosen: tuple[str, ...],
    report_dir: Path,
) -> None:
    """Measure, print and write the report."""
    configure_logs(LogSettings(level="ERROR"))
    started_at = datetime.now(UTC)
    sections: list[Section] = []
    with tempfile.TemporaryDirectory(prefix="marketplace-bench-") as name, ExitStack() as servers:
        directory = Path(name)
        redis_url = servers.enter_context(running_valkey(directory / "valkey"))
        databases = Databases(directory, servers, chosen or ("SQLite", "PostgreSQL"))
        run = _Bench(databases, redis_url, directory)
        chosen_parts = parts or _PARTS
        if "latency" in chosen_parts:
            sections += run.latency(approvals=approvals, rate=rate, idle=idle)
        if "stuck" in chosen_parts:
            sections += run.stuck(count=stuck)
        if "drain" in chosen_parts:
            sections += run.drain(jobs=jobs, rounds=rounds, processes=processes)
        if "shares" in chosen_parts:
            sections += run.shares(jobs=jobs)
        if "backlog" in chosen_parts:
            sections += run.backlog(queued=queued, finished=tuple(sorted(finished)))
        if "scrape" in chosen_parts:
            sections += run.scrape(count=scrapes)
    report = BenchReport(started_at, sections)
    click.echo(markdown(report))
    click.echo(f"report: {write_report(report, report_dir)}", err=True)
    if report.missed():
        context.exit(_THRESHOLD_MISSED)


def _tell(what: str) -> None:
    click.echo(what, err=True)


if __name__ == "__main__":
    bench()
