from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from tests.timeouts.__main__ import timeouts
from tests.timeouts.closed_loop import Fixed, Outcome, run
from tests.timeouts.comparison import HANG_SHARES, POLICIES, Cell, missed
from tests.timeouts.timeouts_report import TimeoutsReport, markdown
from tests.timeouts.workloads import WORKLOADS, Workload

RULE = Outcome(calls=1000, healthy=1000, cut=50, wasted_seconds=1000.0)


def cells(learned: Outcome) -> list[Cell]:
    outcomes = {"fixed": RULE, "rule": RULE, "learned": learned}
    return [
        Cell(workload.name, share, policy, outcome)
        for workload in WORKLOADS
        for share in HANG_SHARES
        for policy, outcome in outcomes.items()
    ]


@pytest.mark.parametrize(
    ("learned", "words"),
    [
        pytest.param(replace(RULE, cut=15, wasted_seconds=600.0), [], id="at-the-limits"),
        pytest.param(replace(RULE, cut=16, wasted_seconds=600.0), ["1.60%"] * 3, id="cuts-too-much"),
        pytest.param(replace(RULE, cut=15, wasted_seconds=610.0), ["61%"] * 3, id="wastes-too-much"),
    ],
)
def test_the_learned_policy_is_judged_at_each_share_of_hung_calls(learned: Outcome, words: list[str]) -> None:
    faults = missed(cells(learned))
    assert len(faults) == len(words)
    assert all(word in fault for word, fault in zip(words, faults, strict=True))


def test_a_cell_beyond_the_limits_is_marked_even_when_the_whole_is_within_them() -> None:
    found = cells(replace(RULE, cut=0, wasted_seconds=10.0))
    bad = next(number for number, cell in enumerate(found) if cell.policy == "learned")
    found[bad] = replace(found[bad], outcome=replace(RULE, wasted_seconds=700.0))
    page = markdown(TimeoutsReport(datetime(2026, 11, 27, tzinfo=UTC), 1000, found))
    assert "Every threshold is met." in page
    assert [line.endswith(" * |") for line in page.splitlines() if line.startswith("|")].count(True) == 1


def test_healthy_calls_that_are_cut_off_and_hung_ones_waste_their_limit() -> None:
    slow = Workload("slow", "", lambda _chance, at: (1, 20.0 if at < 0.5 else 5.0))
    outcome = run(Fixed(10.0), slow, hang_share=0.0, calls=100, seed="1")
    assert (outcome.calls, outcome.healthy, outcome.cut, outcome.wasted_seconds) == (100, 100, 50, 500.0)
    hung = run(Fixed(10.0), slow, hang_share=1.0, calls=100, seed="1")
    assert (hung.healthy, hung.cut, hung.wasted_per_thousand) == (0, 0, 10_000.0)


def test_every_policy_meets_the_same_calls() -> None:
    drawn: list[list[float]] = []

    def noting(chance: Random, _at: float) -> tuple[int, float]:
        drawn[-1].append(chance.random())
        return 50, drawn[-1][-1]

    for policy in POLICIES.values():
        drawn.append([])
        run(policy(1), Workload("noting", "", noting), hang_share=0.05, calls=200, seed="1")
    assert drawn[0] == drawn[1] == drawn[2]


def test_the_command_writes_both_reports_and_its_exit_code_tells_the_verdict(tmp_path: Path) -> None:
    ended = CliRunner().invoke(timeouts, ["--calls", "60", "--report-dir", str(tmp_path)])
    report = json.loads(next(tmp_path.glob("timeouts-*.json")).read_text(encoding="utf-8"))
    assert len(report["cells"]) == len(WORKLOADS) * len(HANG_SHARES) * len(POLICIES)
    assert next(tmp_path.glob("timeouts-*.md")).read_text(encoding="utf-8").strip() in ended.stdout
    assert ended.exit_code == (6 if report["missed"] else 0)
