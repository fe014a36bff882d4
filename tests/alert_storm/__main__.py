"""`make alert-storm`: 500 alerts of 20 issues in a minute, with a relay that is killed, and with a Slack that fails.

Exit code 6 when an issue was told too often, not at all, or with a wrong count.
"""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click

from tests.alert_storm.storm import Outage, Storm, storm

_MISSED = 6

_STORM_SECONDS = 60.0
_WINDOW_SECONDS = 180.0

_OUTAGES = (Outage("rate_limited", 60), Outage("error", 20), Outage("hang", 20), Outage("refuse", 20))


@click.command
@click.option("--report-dir", default="var/reports", show_default=True, type=click.Path(path_type=Path))
@click.pass_context
def alert_storm(context: click.Context, *, report_dir: Path) -> None:
    """Run, print and write the report."""
    reports = {}
    for name, kills, outages in (
        ("nothing else happens", 0, ()),
        ("the relay is killed twice", 2, ()),
        ("Slack answers 429 for 60 s, then 500, then hangs, then refuses", 0, _OUTAGES),
    ):
        with tempfile.TemporaryDirectory(prefix="marketplace-storm-") as directory:
            found = storm(
                Path(directory),
                seconds=_STORM_SECONDS,
                window_seconds=_WINDOW_SECONDS,
                kills=kills,
                outages=outages,
            )
        reports[name] = _told(found)
        click.echo(f"{name}: {json.dumps(reports[name])}")
    report_dir.mkdir(parents=True, exist_ok=True)
    file = report_dir / f"alert-storm-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    file.write_text(json.dumps(reports, indent=2) + "\n", encoding="utf-8")
    click.echo(f"report: {file}", err=True)
    if any(report["problems"] for report in reports.values()):
        context.exit(_MISSED)


def _told(found: Storm) -> dict[str, object]:
    return {
        "alertsAccepted": found.accepted,
        "requests": found.tries,
        "issues": len(found.mentions),
        "occurrencesTold": sum(found.occurrences.values()),
        "mostMessagesOfAnIssueWithinAWindow": max(found.early_mentions.values()),
        "messages": found.messages,
        "digests": found.digests,
        "markedAsPossibleRepeats": found.marked,
        "problems": found.problems,
    }


if __name__ == "__main__":
    alert_storm()
