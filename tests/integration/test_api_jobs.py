from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import Connection

from app.domain.errors import BadAnswerError, NetworkError
from app.domain.plan import Priority
from app.domain.tasks import Task, TaskSource
from app.job_execution import Finished, JobBody
from app.job_runs import JobRun
from app.storage.plans import insert_tasks
from tests.api import Api, fields_of, problem_of
from tests.pipeline import raising

JOBS = "/api/marketplace/jobs"
TASKS = "/api/marketplace/tasks"


def found(api: Api, query: str) -> list[str]:
    """Return the ids of the jobs that a search finds."""
    return [job["jobId"] for job in api.get(f"{JOBS}?q={query}").get_json()["items"]]


def test_a_waiting_job_tells_when_it_is_due_and_what_its_limits_are(api: Api) -> None:
    plan_id, job_id = api.approved()
    job = api.get(f"{JOBS}/{job_id}").get_json()
    assert (job["jobId"], job["planId"], job["kind"], job["status"]) == (str(job_id), str(plan_id), "phase1", "pending")
    assert (job["progress"], job["attempts"], job["result"], job["error"]) == (0, [], None, None)
    assert (job["route"], job["timeoutSeconds"], job["retryOf"]) == ("queue", 10.0, None)
    assert job["nextAttemptAt"] == job["createdAt"]
    assert (job["startedAt"], job["completedAt"]) == (None, None)


def test_a_job_tells_every_attempt_and_its_error(api: Api) -> None:
    _, job_id = api.approved()
    executor = api.executor(raising(NetworkError("reset by <peer>"), BadAnswerError("no JSON")))
    executor.run(job_id)
    executor.run(job_id)

    job = api.get(f"{JOBS}/{job_id}").get_json()

    assert job["status"] == "failed"
    assert job["error"] == {"code": "bad_answer", "errorClass": "permanent", "message": "no JSON"}
    told = [
        (run["attempt"], run["outcome"], run["error"]["code"], run["error"]["errorClass"]) for run in job["attempts"]
    ]
    assert told == [(1, "retrying", "network", "recoverable"), (2, "failed", "bad_answer", "permanent")]
    assert job["attempts"][0]["retryAt"] is not None
    assert job["attempts"][0]["worker"] == "worker-1"
    assert job["nextAttemptAt"] is None
    assert job["completedAt"].endswith("Z")


def test_an_unknown_job_is_not_found(api: Api) -> None:
    answer = api.get(f"{JOBS}/{uuid4()}")
    assert (answer.status_code, problem_of(answer)["code"]) == (404, "not_found")


def test_jobs_are_found_by_status_kind_plan_channel_and_age(api: Api) -> None:
    plan_id, approved = api.approved()
    asked = api.call("POST", "/api/marketplace/analysis", json={"channels": ["shopee", "amazon"]}).get_json()
    api.executor(raising(BadAnswerError("no JSON"))).run(approved)

    assert found(api, "") == [asked["jobId"], str(approved)]
    assert found(api, "status:failed") == [str(approved)]
    assert found(api, "kind:analysis status:pending") == [asked["jobId"]]
    assert found(api, f"plan:{plan_id}") == [str(approved)]
    assert found(api, "agent:shopee") == [asked["jobId"]]
    assert found(api, "agent:amazon since:1h") == [asked["jobId"], str(approved)]
    assert found(api, "agent:shop") == []
    assert found(api, f"plan:{uuid4()}") == []


def test_a_search_leaves_out_what_is_older(api: Api) -> None:
    _, job_id = api.approved()
    with api.runtime.database.write() as connection:
        connection.exec_driver_sql("UPDATE marketplace_job_executions SET created_at = created_at - 7200000")
    assert found(api, "since:1h") == []
    assert found(api, "since:3h") == [str(job_id)]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("failed", "is no condition"),
        ("colour:red", "is no condition"),
        ("status:broken", "pending, active, completed, failed"),
        ("kind:x", "analysis, phase1"),
        ("plan:7", "is not a UUID"),
        ("since:yesterday", "30s, 15m, 1h or 7d"),
        ("since:0h", "no span of time"),
        ("since:99999d", "no span of time"),
        ("since:\u0661h", "no span of time"),
        ("agent:'; DROP", "no name"),
        ("status:failed status:active", "given twice"),
    ],
)
def test_a_search_that_cannot_be_read_says_what_could_be(sqlite_api: Api, query: str, words: str) -> None:
    answer = sqlite_api.client.get(JOBS, query_string={"q": query}, headers=sqlite_api.headers())
    assert (answer.status_code, fields_of(answer)) == (422, ["q"])
    assert words in problem_of(answer)["detail"]


def test_job_pages_join(api: Api) -> None:
    job_ids = [str(api.approved()[1]) for _ in range(5)]
    first = api.get(f"{JOBS}?limit=3").get_json()
    second = api.get(f"{JOBS}?limit=3&cursor={first['nextCursor']}").get_json()
    assert [job["jobId"] for job in first["items"] + second["items"]] == job_ids[::-1]
    assert second["nextCursor"] is None


def test_the_tasks_of_a_plan_are_listed_in_their_order(api: Api) -> None:
    plan_id, job_id = api.approved()
    api.executor(creating_tasks(api, "Fix titles", "Add photos", "Answer questions")).run(job_id)

    first = api.get(f"{TASKS}?planId={plan_id}&limit=2").get_json()
    rest = api.get(f"{TASKS}?planId={plan_id}&limit=2&cursor={first['nextCursor']}").get_json()

    assert [task["title"] for task in first["items"] + rest["items"]] == [
        "Fix titles",
        "Add photos",
        "Answer questions",
    ]
    task = first["items"][0]
    assert (task["planId"], task["jobId"], task["source"], task["priority"]) == (
        str(plan_id),
        str(job_id),
        "plan",
        "high",
    )
    plan = api.get(f"/api/marketplace/analysis/{plan_id}").get_json()
    assert plan["tasks"] == first["items"] + rest["items"]


def test_tasks_of_an_unknown_plan_are_not_found(api: Api) -> None:
    answer = api.get(f"{TASKS}?planId={uuid4()}")
    assert (answer.status_code, problem_of(answer)["code"]) == (404, "not_found")


def creating_tasks(api: Api, *titles: str) -> JobBody:
    """Return a body that writes these tasks."""
    tasks = [Task(item_key=title, title=title, description="", priority=Priority.HIGH) for title in titles]

    def body(run: JobRun) -> Finished:
        def write(connection: Connection) -> dict[str, object]:
            insert_tasks(
                api.runtime.database,
                connection,
                tasks,
                plan_id=run.claim.plan_id,
                job_id=run.claim.job_id,
                fence=run.claim.fence,
                source=TaskSource.PLAN,
            )
            return {}

        return Finished(write)

    return body
