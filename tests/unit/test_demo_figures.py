from typing import Any

import pytest

from deploy.local.figures import is_completed, is_duplicated, milliseconds


def plan(**changes: Any) -> dict[str, Any]:
    job = {"jobId": "j1", "kind": "phase1", "status": "completed", "result": {"taskCount": 2}}
    tasks = [{"jobId": "j1", "channel": "amazon", "title": title} for title in ("first", "second")]
    return {"phase1JobId": "j1", "jobs": [job, {"kind": "analysis", "status": "completed"}], "tasks": tasks} | changes


def job(**changes: Any) -> dict[str, Any]:
    return {**plan()["jobs"][0], **changes}


def test_a_plan_with_its_job_and_tasks_is_completed_once() -> None:
    content = plan(jobs=[job()])
    assert (is_completed(content), is_duplicated(content)) == (True, False)


@pytest.mark.parametrize(
    "content",
    [
        plan(jobs=[]),
        plan(jobs=[job(status="failed", result=None)]),
        plan(jobs=[job(jobId="j2")]),
        plan(jobs=[job()], tasks=plan()["tasks"][:1]),
        plan(jobs=[job(result={"taskCount": 0})], tasks=[]),
    ],
    ids=["no_job", "failed", "job_of_another_plan", "task_missing", "no_task"],
)
def test_a_plan_without_all_its_tasks_is_not_completed(content: dict[str, Any]) -> None:
    assert not is_completed(content)


@pytest.mark.parametrize(
    "content",
    [
        plan(jobs=[job(), job(jobId="j2")]),
        plan(tasks=[*plan()["tasks"], {"jobId": "j2", "channel": "amazon", "title": "third"}]),
        plan(tasks=[*plan()["tasks"], plan()["tasks"][0]]),
    ],
    ids=["two_jobs", "tasks_of_two_jobs", "same_task_twice"],
)
def test_tasks_that_were_made_twice_are_seen(content: dict[str, Any]) -> None:
    assert is_duplicated(content)


def test_the_time_of_a_job_runs_from_approval_to_completion() -> None:
    times = {"createdAt": "2026-11-24T22:59:59.900Z", "completedAt": "2026-11-24T23:00:00.025Z"}
    assert milliseconds(times) == pytest.approx(125)
