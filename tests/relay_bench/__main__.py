"""`make bench-relay`: alerts a second that the relay accepts on one core, each committed; its memory when many wait.

Exit code 6 when it accepts fewer than 500 a second, or takes more than 300 MB with 100,000 issues waiting.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from tests.relay_bench.senders import accepted_in
from tests.relay_process import RelayProcess, alert, post_alerts, running_relay
from tests.servers import free_port

_MISSED = 6
_LEAST_A_SECOND = 500
_MOST_MEGABYTES = 300
_BATCH = 500
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@click.command
@click.option("--seconds", default=10.0, show_default=True, help="How long alerts are sent.")
@click.option("--issues", default=100_000, show_default=True, help="Issues that wait when the memory is read.")
@click.option("--report-dir", default="var/reports", show_default=True, type=click.Path(path_type=Path))
@click.pass_context
def bench_relay(context: click.Context, *, seconds: float, issues: int, report_dir: Path) -> None:
    """Measure, print and write the report."""
    with tempfile.TemporaryDirectory(prefix="marketplace-relay-", dir=Path.cwd()) as name:
        throughput, memory = _throughput(Path(name) / "throughput", seconds), _memory(Path(name) / "memory", issues)
    at = datetime.now(UTC)
    report = {"at": at.isoformat(timespec="seconds"), "throughput": throughput, "memory": memory}
    text = json.dumps(report, indent=2)
    click.echo(text)
    report_dir.mkdir(parents=True, exist_ok=True)
    path = report_dir / f"relay-{at:%Y%m%dT%H%M%SZ}.json"
    path.write_text(text + "\n", encoding="utf-8")
    click.echo(f"report: {path}", err=True)
    slow, large = throughput["accepted_per_second"] < _LEAST_A_SECOND, memory["resident_megabytes"] > _MOST_MEGABYTES
    if slow or large or memory["issues_waiting"] < issues:
        context.exit(_MISSED)


def _throughput(directory: Path, seconds: float) -> dict[str, Any]:
    """Return how many requests of one alert each were accepted by a relay that has one core."""
    directory.mkdir()
    with running_relay(directory) as relay:
        assert relay.process is not None
        cores = sorted(os.sched_getaffinity(0))
        # The senders get the other cores.
        for thread in _threads(relay):
            os.sched_setaffinity(thread, cores[:1])
        os.sched_setaffinity(0, cores[1:] or cores)
        cpu, began_at = _cpu_seconds(relay), time.monotonic()
        accepted = accepted_in(relay.port, processes=2, connections=16, seconds=seconds)
        took, cpu = time.monotonic() - began_at, _cpu_seconds(relay) - cpu
        os.sched_setaffinity(0, cores)
        commits = relay.metric("marketplace_relay_commit_seconds_count")
        waited = relay.metric("marketplace_relay_commit_seconds_sum")
    return {
        "alerts_accepted": accepted,
        "accepted_per_second": round(accepted / seconds),
        "accepted_per_cpu_second": round(accepted / cpu),
        "share_of_the_core": round(cpu / took, 2),
        "mean_wait_for_commit_seconds": round(waited / commits, 4),
        "required_per_second": _LEAST_A_SECOND,
    }


def _memory(directory: Path, issues: int) -> dict[str, Any]:
    """Return the memory of a relay in whose outbox so many issues wait, and how long it took to tell it of them."""
    directory.mkdir()
    # Nobody listens there: without an address of Slack messages are logged, and none waits.
    with running_relay(directory, slack_webhook_url=f"http://127.0.0.1:{free_port()}/services/T0/B0/C0") as relay:
        before, began_at = _megabytes(relay), time.monotonic()
        for first in range(0, issues, _BATCH):
            batch = [alert(f"agent-{number}") for number in range(first, min(first + _BATCH, issues))]
            post_alerts(relay.url, batch).raise_for_status()
        took = time.monotonic() - began_at
        waiting = relay.waiting()
        after = _megabytes(relay)
    return {
        "issues_waiting": waiting,
        "resident_megabytes": after,
        "resident_megabytes_before": before,
        "alerts_per_second_in_batches": round(issues / took),
        "most_megabytes": _MOST_MEGABYTES,
    }


def _threads(relay: RelayProcess) -> list[int]:
    assert relay.process is not None
    return [int(entry.name) for entry in Path(f"/proc/{relay.process.pid}/task").iterdir()]


def _cpu_seconds(relay: RelayProcess) -> float:
    assert relay.process is not None
    fields = Path(f"/proc/{relay.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def _megabytes(relay: RelayProcess) -> int:
    assert relay.process is not None
    status = Path(f"/proc/{relay.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return round(int(line.split()[1]) / 1024)


if __name__ == "__main__":
    bench_relay()
