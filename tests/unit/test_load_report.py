from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loadtest.ledger import Accepted, Ledger
from loadtest.load_report import LoadReport, load_report, markdown, write_report
from loadtest.verdict import Fate, Outcome


def _report(*fates: Fate, wanted: int | None = None, request_failures: int = 0) -> LoadReport:
    outcomes = [
        Outcome(
            Accepted(f"plan {n}", frozenset({f"job {n}"}), tasks=1, approve_seconds=0.02),
            fate,
            0.1 if fate is Fate.COMPLETED else None,
        )
        for n, fate in enumerate(fates)
    ]
    return load_report(
        outcomes,
        wanted=len(fates) if wanted is None else wanted,
        users=10,
        started_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        duration_seconds=10.0,
        requests=200,
        request_failures=request_failures,
    )


def test_a_run_without_loss_meets_every_threshold() -> None:
    report = _report(Fate.COMPLETED, Fate.COMPLETED)
    assert report.missed() == []
    assert report.success_rate == 1.0
    assert report.requests_per_second == 20.0


@pytest.mark.parametrize(
    ("report", "missed"),
    [
        (_report(Fate.COMPLETED, Fate.LOST), "1 approvals are lost"),
        (_report(Fate.DUPLICATED), "1 approvals are duplicated"),
        (_report(Fate.FAILED), "1 jobs failed"),
        (_report(Fate.OPEN), "1 jobs did not end in time"),
        (_report(Fate.COMPLETED, wanted=3), "2 approvals were not accepted"),
        (_report(Fate.COMPLETED, request_failures=4), "4 requests failed"),
    ],
    ids=["lost", "duplicated", "failed", "open", "not accepted", "request failures"],
)
def test_a_missed_threshold_is_named_with_its_count(report: LoadReport, missed: str) -> None:
    assert report.missed() == [missed]
    assert missed in markdown(report)


def test_a_run_in_which_nothing_was_accepted_is_no_success() -> None:
    report = _report(wanted=5)
    assert report.success_rate == 0.0
    assert report.missed() == ["5 approvals were not accepted"]


def test_the_report_is_written_for_people_and_for_programs(tmp_path: Path) -> None:
    path = write_report(_report(Fate.COMPLETED), tmp_path / "reports")
    assert path.name == "load-20260102T030405Z.md"
    assert "| jobs completed | 1 (100.00%) |" in path.read_text(encoding="utf-8")
    figures = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert figures["completed"] == 1
    assert figures["completionP99Seconds"] == 0.1
    assert figures["missed"] == []


def test_a_ledger_hands_out_no_more_than_what_is_wanted() -> None:
    ledger = Ledger(wanted=1)
    assert ledger.take()
    assert not ledger.take()
    ledger.give_back()
    assert ledger.take()
    ledger.accept(Accepted("plan", frozenset({"job"}), tasks=1, approve_seconds=0.02))
    assert ledger.is_complete
