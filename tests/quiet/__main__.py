"""`make quiet`: healthy load for a quarter of an hour, and no alert but Watchdog; a quiet hour in fast-forward.

An alert that waits for a while before it fires would get away in a short run, so every such wait is shortened.
Exit code 6 when an alert fired, or was still pending at the end of its shortened wait.
"""

from __future__ import annotations

import json
import os
import re
import signal
import tempfile
import threading
import time
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import yaml

from app.domain.alerts import WATCHDOG
from monitoring.rendering.prometheus import Prometheus
from tests.quiet.steady_load import SteadyLoad
from tests.servers import wait_until
from tests.stacks import RunningStack, running_stack

_MISSED = 6
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
#: Longest wait for Prometheus to have read the shortened rules.
_RELOAD_SECONDS = 30.0


@click.command
@click.option("--minutes", default=15.0, show_default=True, help="How long the load lasts.")
@click.option("--rate", default=4.0, show_default=True, help="Jobs per second.")
@click.option("--shorten", default=4.0, show_default=True, help="Waits before an alert fires are divided by this.")
@click.option("--report-dir", default="var/reports", show_default=True, type=click.Path(path_type=Path))
@click.pass_context
def quiet(context: click.Context, *, minutes: float, rate: float, shorten: float, report_dir: Path) -> None:
    """Run, print and write the report."""
    with (
        tempfile.TemporaryDirectory(prefix="marketplace-quiet-") as name,
        running_stack(Path(name), "--observe", MARKETPLACE_MONITORING__SCRAPE_SECONDS="1") as stack,
    ):
        report = observed(stack, minutes=minutes, rate=rate, shorten=shorten)
    text = json.dumps(report, indent=2)
    click.echo(text)
    report_dir.mkdir(parents=True, exist_ok=True)
    path = report_dir / f"quiet-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.write_text(text + "\n", encoding="utf-8")
    click.echo(f"report: {path}", err=True)
    if report["fired"] or report["errors"]:
        context.exit(_MISSED)


def observed(stack: RunningStack, *, minutes: float, rate: float, shorten: float) -> dict[str, Any]:
    """Load the stack, and return what was sent and which alerts fired or were pending meanwhile."""
    shortened = shorten_waits(stack, shorten)
    started_at = time.time()
    load = SteadyLoad(stack, per_second=rate, seconds=minutes * 60)
    load.run(threading.Event())
    prometheus = Prometheus(stack.facts["urls"]["prometheus"])
    return {
        "minutes": round((time.time() - started_at) / 60, 1),
        "shortenedBy": shorten,
        "rules": shortened,
        "plans": load.sent.plans,
        "analyses": load.sent.analyses,
        "errors": load.sent.errors,
        "fired": seen(prometheus, "firing", started_at),
        "pending": seen(prometheus, "pending", started_at),
        "watchdog": WATCHDOG.name in seen(prometheus, "firing", started_at, without=()),
    }


def shorten_waits(stack: RunningStack, by: float, *, only: Collection[str] | None = None) -> int:
    """Divide how long alerts wait before they fire, have Prometheus read it, and return their number.

    `only` names the alerts, which are all if it is not given.
    """
    directory = stack.data / "observing"
    count = 0
    for path in directory.glob("*.rules.yml"):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        for rule in (rule for group in document["groups"] for rule in group["rules"]):
            if only is not None and rule.get("alert") not in only:
                continue
            count += "alert" in rule
            for key in {"for", "keep_firing_for"} & rule.keys():
                rule[key] = f"{max(round(seconds(rule[key]) / by * 1000), 1)}ms"
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    prometheus = Prometheus(stack.facts["urls"]["prometheus"])
    before = time.time()
    os.kill(stack.facts["pids"]["prometheus"], signal.SIGHUP)
    reloaded = "prometheus_config_last_reload_success_timestamp_seconds"
    wait_until(
        lambda: any(series.points[-1][1] >= before for series in prometheus.instant(reloaded, time.time())),
        seconds=_RELOAD_SECONDS,
        what="Prometheus to read the shortened rules",
    )
    return count


def seen(
    prometheus: Prometheus, state: str, since: float, *, without: tuple[str, ...] = (WATCHDOG.name,)
) -> dict[str, float]:
    """Return the alerts that were in this state since then, with the number of evaluations at which they were."""
    window = f"{round(time.time() - since)}s"
    counted = prometheus.instant(
        f'sum by (alertname) (count_over_time(ALERTS{{alertstate="{state}"}}[{window}]))', time.time()
    )
    counts = {series.labels["alertname"]: series.points[-1][1] for series in counted}
    return {name: count for name, count in counts.items() if name not in without}


def seconds(duration: str) -> float:
    """Return a duration of Prometheus in seconds.

    >>> seconds("1m30s"), seconds("500ms")
    (90.0, 0.5)
    """
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)(ms|[smhd])", duration))


if __name__ == "__main__":
    quiet()
