"""The report of a load run: figures, thresholds, and their text as Markdown and JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from loadtest.verdict import Fate, Outcome, quantile


@dataclass(frozen=True)
class LoadReport:
    """Figures of a run; latencies in seconds, None when there was nothing to measure."""

    started_at: datetime
    duration_seconds: float
    users: int
    wanted: int
    accepted: int
    completed: int
    failed: int
    open: int
    lost: int
    duplicated: int
    requests: int
    request_failures: int
    approve_p50_seconds: float | None
    approve_p99_seconds: float | None
    completion_p50_seconds: float | None
    completion_p99_seconds: float | None

    @property
    def success_rate(self) -> float:
        """Share of the accepted approvals whose job completed with all its tasks, 0 to 1."""
        return self.completed / self.accepted if self.accepted else 0.0

    @property
    def requests_per_second(self) -> float:
        """Requests of all users, over the whole run."""
        return self.requests / self.duration_seconds if self.duration_seconds else 0.0

    def missed(self) -> list[str]:
        """Return every threshold that the run missed, in words."""
        words = {
            "approvals were not accepted": self.wanted - self.accepted,
            "requests failed": self.request_failures,
            "jobs failed": self.failed,
            "jobs did not end in time": self.open,
            "approvals are lost": self.lost,
            "approvals are duplicated": self.duplicated,
        }
        return [f"{count} {text}" for text, count in words.items() if count > 0]

    def rows(self) -> list[tuple[str, str]]:
        """Return the figures as people read them."""
        return [
            ("users, at most", str(self.users)),
            ("duration", f"{self.duration_seconds:.1f} s"),
            ("approvals accepted", f"{self.accepted} of {self.wanted}"),
            ("jobs completed", f"{self.completed} ({self.success_rate:.2%})"),
            ("jobs failed", str(self.failed)),
            ("jobs still open", str(self.open)),
            ("approvals lost", str(self.lost)),
            ("approvals duplicated", str(self.duplicated)),
            ("approve, p50 / p99", f"{_ms(self.approve_p50_seconds)} / {_ms(self.approve_p99_seconds)}"),
            (
                "approval to completion, p50 / p99",
                f"{_ms(self.completion_p50_seconds)} / {_ms(self.completion_p99_seconds)}",
            ),
            ("requests", f"{self.requests} ({self.requests_per_second:.0f}/s), {self.request_failures} failed"),
        ]


def load_report(
    outcomes: Sequence[Outcome],
    *,
    wanted: int,
    users: int,
    started_at: datetime,
    duration_seconds: float,
    requests: int,
    request_failures: int,
) -> LoadReport:
    """Return the report on these outcomes."""
    fates = Counter(outcome.fate for outcome in outcomes)
    approving = [outcome.approval.approve_seconds for outcome in outcomes]
    completing = [outcome.seconds for outcome in outcomes if outcome.seconds is not None]
    return LoadReport(
        started_at=started_at,
        duration_seconds=duration_seconds,
        users=users,
        wanted=wanted,
        accepted=len(outcomes),
        completed=fates[Fate.COMPLETED],
        failed=fates[Fate.FAILED],
        open=fates[Fate.OPEN],
        lost=fates[Fate.LOST],
        duplicated=fates[Fate.DUPLICATED],
        requests=requests,
        request_failures=request_failures,
        approve_p50_seconds=quantile(approving, 0.5),
        approve_p99_seconds=quantile(approving, 0.99),
        completion_p50_seconds=quantile(completing, 0.5),
        completion_p99_seconds=quantile(completing, 0.99),
    )


def markdown(report: LoadReport) -> str:
    """Return the report as a page."""
    missed = report.missed()
    verdict = "Every threshold is met." if not missed else "Missed: " + "; ".join(missed) + "."
    lines = [
        f"# Load run of {report.started_at:%Y-%m-%d %H:%M} UTC",
        "",
        verdict,
        "",
        "| Figure | Value |",
        "| --- | --- |",
        *(f"| {name} | {value} |" for name, value in report.rows()),
    ]
    return "\n".join(lines) + "\n"


def write_report(report: LoadReport, directory: Path) -> Path:
    """Write the report as Markdown and JSON, and return the path of the Markdown."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"load-{report.started_at:%Y%m%dT%H%M%SZ}.md"
    path.write_text(markdown(report), encoding="utf-8")
    figures = {
        **asdict(report),
        "started_at": report.started_at.isoformat(),
        "success_rate": report.success_rate,
        "requests_per_second": report.requests_per_second,
        "missed": report.missed(),
    }
    path.with_suffix(".json").write_text(json.dumps(_camel(figures), indent=2) + "\n", encoding="utf-8")
    return path


def _camel(figures: dict[str, object]) -> dict[str, object]:
    def name(text: str) -> str:
        first, *rest = text.split("_")
        return first + "".join(part.capitalize() for part in rest)

    return {name(key): value for key, value in figures.items()}


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms"
