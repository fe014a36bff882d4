from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from loadtest.ledger import Accepted
from loadtest.verdict import Fate, outcome_of, quantile, settle

_APPROVAL = Accepted("plan", frozenset({"job"}), tasks=2, approve_seconds=0.01)


def _job(status: str = "completed", job_id: str = "job") -> dict[str, Any]:
    return {
        "jobId": job_id,
        "kind": "phase1",
        "status": status,
        "createdAt": "2026-01-01T00:00:00.000Z",
        "completedAt": "2026-01-01T00:00:00.250Z" if status == "completed" else None,
    }


def _plan(jobs: Sequence[Mapping[str, Any]], tasks: int = 2) -> dict[str, Any]:
    return {"jobs": jobs, "tasks": [{"taskId": f"id {n}", "title": f"task {n}"} for n in range(tasks)]}


@pytest.mark.parametrize(
    ("plan", "fate"),
    [
        pytest.param(_plan([_job()]), Fate.COMPLETED, id="one completed job with all tasks"),
        pytest.param(_plan([_job("active")], tasks=0), Fate.OPEN, id="the job runs"),
        pytest.param(_plan([_job("failed")], tasks=0), Fate.FAILED, id="the job failed"),
        pytest.param(_plan([], tasks=0), Fate.LOST, id="no job"),
        pytest.param(_plan([_job(job_id="other")]), Fate.LOST, id="not the job that was answered"),
        pytest.param(_plan([_job()], tasks=1), Fate.LOST, id="a task is missing"),
        pytest.param(_plan([_job()], tasks=3), Fate.DUPLICATED, id="a task too many"),
        pytest.param(_plan([_job(), _job(job_id="other")]), Fate.DUPLICATED, id="two jobs"),
    ],
)
def test_the_fate_of_an_approval_follows_from_its_plan(plan: Mapping[str, Any], fate: Fate) -> None:
    assert outcome_of(_APPROVAL, plan).fate is fate


def test_two_answers_that_name_two_jobs_are_a_duplicate() -> None:
    twice = Accepted("plan", frozenset({"job", "other"}), tasks=2, approve_seconds=0.01)
    assert outcome_of(twice, _plan([_job()])).fate is Fate.DUPLICATED


def test_a_task_that_is_there_twice_is_a_duplicate() -> None:
    plan = _plan([_job()])
    plan["tasks"][1]["title"] = plan["tasks"][0]["title"]
    assert outcome_of(_APPROVAL, plan).fate is Fate.DUPLICATED


def test_the_time_to_completion_is_the_products_own() -> None:
    assert outcome_of(_APPROVAL, _plan([_job()])).seconds == 0.25


def test_open_jobs_are_looked_up_again_until_they_end() -> None:
    answers = iter([_plan([_job("pending")]), _plan([_job("active")]), _plan([_job()])])
    outcomes = settle([_APPROVAL], lambda _ids: [next(answers)], seconds=60, sleep=lambda _seconds: None)
    assert [outcome.fate for outcome in outcomes] == [Fate.COMPLETED]


def test_a_job_that_does_not_end_in_time_is_open() -> None:
    outcomes = settle([_APPROVAL], lambda _ids: [_plan([_job("active")])], seconds=0, sleep=lambda _seconds: None)
    assert [outcome.fate for outcome in outcomes] == [Fate.OPEN]


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.0, 1.0)])
def test_a_quantile_is_one_of_the_values(share: float, expected: float) -> None:
    assert quantile([float(n) for n in range(100, 0, -1)], share) == expected


def test_nothing_has_no_quantile() -> None:
    assert quantile([], 0.5) is None
