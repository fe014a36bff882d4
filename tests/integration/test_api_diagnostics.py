from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import delete, update

from app.domain.errors import BadAnswerError, NetworkError
from app.storage.schema import events, jobs
from tests.api import Api, api_on
from tests.pipeline import raising
from tests.servers import free_port

DIAGNOSTICS = "/api/marketplace/diagnostics"


def diagnosed(api: Api) -> dict[str, Any]:
    """Return the diagnosis."""
    answer = api.get(DIAGNOSTICS)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    found: dict[str, Any] = answer.get_json()
    return found


def advice(diagnosis: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """Return severity and count of each issue."""
    return {entry["issue"]: (entry["severity"], entry["count"]) for entry in diagnosis["recommendations"]}


def test_a_quiet_system_is_healthy_and_nothing_is_to_be_done(api: Api) -> None:
    diagnosis = diagnosed(api)
    assert (diagnosis["status"], diagnosis["recommendations"]) == ("healthy", [])
    assert (diagnosis["database"]["status"], diagnosis["redis"]["status"]) == ("connected", "connected")
    assert [queue["queue"] for queue in diagnosis["queues"]] == ["analysis", "phase1-tasks"]
    assert diagnosis["stuckPlans"] == {"count": 0, "items": []}


def test_queues_tell_their_jobs_by_state_and_their_oldest(api: Api) -> None:
    api.approved()
    _, running = api.approved()
    api.executor().run(running)
    queue = diagnosed(api)["queues"][1]
    assert (queue["pending"], queue["active"], queue["completed"], queue["failed"]) == (1, 0, 1, 0)
    assert 0 <= queue["oldestDueSeconds"] < 60


def test_a_plan_that_waits_too_long_is_stuck_with_its_cause(api: Api) -> None:
    waiting, job_id = api.approved()
    jobless, lost = api.approved()
    with api.runtime.database.write() as connection:
        connection.execute(delete(events).where(events.c.job_id == lost))
        connection.execute(delete(jobs).where(jobs.c.job_id == lost))
    api.age(waiting, seconds=200)
    api.age(jobless, seconds=100)

    diagnosis = diagnosed(api)

    assert diagnosis["status"] == "critical"
    stuck = diagnosis["stuckPlans"]
    assert stuck["count"] == 2
    assert [(plan["planId"], plan["cause"], plan["jobId"]) for plan in stuck["items"]] == [
        (str(waiting), "waiting", str(job_id)),
        (str(jobless), "no_job", None),
    ]
    assert 199 < stuck["items"][0]["ageSeconds"] < 260
    assert advice(diagnosis)["plans_stuck"] == ("critical", 2)


def test_a_job_that_no_worker_takes_is_named_by_its_queue(api: Api) -> None:
    _, job_id = api.approved()
    with api.runtime.database.write() as connection:
        connection.exec_driver_sql("UPDATE marketplace_job_executions SET available_at = available_at - 100000")
    diagnosis = diagnosed(api)
    assert diagnosis["status"] == "degraded"
    assert advice(diagnosis) == {"queue_not_served": ("warning", 1)}
    assert "phase1-tasks" in diagnosis["recommendations"][0]["action"]
    assert diagnosis["queues"][1]["oldestDueSeconds"] > 99
    assert job_id


def test_dead_letters_are_counted_by_kind_and_reason_until_a_newer_job_follows(api: Api) -> None:
    plan_id, job_id = api.approved()
    asked = api.call("POST", "/api/marketplace/analysis", json={"channels": ["amazon"]}).get_json()
    executor = api.executor(raising(BadAnswerError("no JSON"), BadAnswerError("no JSON")))
    executor.run(job_id)
    executor.run(UUID(asked["jobId"]))

    diagnosis = diagnosed(api)

    assert diagnosis["deadLetters"] == [
        {"kind": "analysis", "reason": "bad_answer", "count": 1},
        {"kind": "phase1", "reason": "bad_answer", "count": 1},
    ]
    assert advice(diagnosis) == {"tasks_not_created": ("warning", 1), "analyses_failed": ("warning", 1)}
    api.call("POST", "/api/marketplace/analysis/recover", json={"planIds": [str(plan_id)]})
    assert advice(diagnosed(api)) == {"analyses_failed": ("warning", 1)}


def test_retries_are_summed_up_by_plan(api: Api) -> None:
    plan_id, job_id = api.approved()
    executor = api.executor(raising(NetworkError("reset"), NetworkError("reset again")))
    for _ in range(2):
        executor.run(job_id)
    with api.runtime.database.write() as connection:
        connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(crash_count=1))
    assert diagnosed(api)["retries"] == [
        {
            "planId": str(plan_id),
            "jobs": 1,
            "attempts": 2,
            "retries": 2,
            "crashes": 1,
            "failed": 0,
            "lastError": {"code": "network", "message": "reset again"},
        }
    ]


def test_without_redis_the_diagnosis_says_so(sqlite_template: Path, tmp_path: Path) -> None:
    with api_on(f"redis://127.0.0.1:{free_port()}/0", sqlite_template, tmp_path) as api:
        diagnosis = diagnosed(api)
        assert diagnosis["redis"] == {"status": "disconnected", "latency": None}
        assert advice(diagnosis) == {"redis_disconnected": ("critical", 1)}
