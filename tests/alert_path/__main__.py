"""`make alert-path`: from a fault to its message in Slack, on a real stack with Prometheus and Alertmanager.

Exit code 6 when a direct message took more than 5 s, something was told twice, or a link does not work.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from app.domain.alerts import CIRCUIT_OPENED, QUEUE_BACKED_UP
from deploy.local.story import OPEN_SECONDS
from tests.alert_path.told import AlertPath, Told, broken_links
from tests.quiet.__main__ import shorten_waits
from tests.stacks import RunningStack, running_stack

_MISSED = 6

#: From what happened to its message, where the pipeline tells of it directly.
DIRECT_SECONDS = 5.0


@contextmanager
def observed_stack(directory: Path, *, shorten: float) -> Iterator[RunningStack]:
    """Yield a stack whose circuits are open for some seconds; the alerts on the faults wait `shorten` times shorter."""
    settings = {
        "MARKETPLACE_MONITORING__SCRAPE_SECONDS": "1",
        "MARKETPLACE_BREAKERS__OPEN_SECONDS": str(OPEN_SECONDS),
        # What is told twice shows within the run.
        "MARKETPLACE_RELAY__WINDOW_SECONDS": "10",
    }
    with running_stack(directory, "--observe", **settings) as stack:
        if shorten != 1:
            # Others on the same queue would fire first, for they wait for what takes longer than these seconds.
            shorten_waits(stack, shorten, only=[CIRCUIT_OPENED.name, QUEUE_BACKED_UP.name])
        yield stack


def all_told(path: AlertPath) -> list[Told]:
    """Let everything happen, one after the other."""
    return [path.circuit_opens(), path.circuit_closes(), path.job_fails(), path.queue_backs_up()]


@click.command
@click.option("--shorten", default=1.0, show_default=True, help="Waits before an alert fires are divided by this.")
@click.option("--report-dir", default="var/reports", show_default=True, type=click.Path(path_type=Path))
@click.pass_context
def alert_path(context: click.Context, *, shorten: float, report_dir: Path) -> None:
    """Run, print and write the report."""
    with (
        tempfile.TemporaryDirectory(prefix="marketplace-alert-path-") as name,
        observed_stack(Path(name), shorten=shorten) as stack,
    ):
        path = AlertPath(stack)
        told = all_told(path)
        counts = [path.count(entry) for entry in told]
        links = path.links()
        broken = broken_links(links)
    for entry, count in zip(told, counts, strict=True):
        click.echo(f"{entry.what:20} told by {entry.way:10} after {entry.seconds:6.2f} s, {count} message(s)")
    click.echo(f"{len(links)} links, {len(broken)} broken")
    report = {
        "told": [asdict(entry) | {"messages": count} for entry, count in zip(told, counts, strict=True)],
        "links": links,
        "brokenLinks": broken,
    }
    report_dir.mkdir(parents=True, exist_ok=True)
    file = report_dir / f"alert-path-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    click.echo(f"report: {file}", err=True)
    late = any(entry.way == "pipeline" and entry.seconds > DIRECT_SECONDS for entry in told)
    if late or broken or any(count != 1 for count in counts):
        context.exit(_MISSED)


if __name__ == "__main__":
    alert_path()
