from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, update

from app.domain.controls import QueueState, queue_control
from app.domain.errors import BadAnswerError, NetworkError
from app.domain.jobs import JobKind
from app.domain.processes import ProcessRole
from app.storage.clock import now_plus
from app.storage.controls import set_control
from app.storage.schema import events, jobs, processes
from tests.api import Api, api_on
from tests.letters import archive_unreadable
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
    assert diagnosis["stuckPlans"] == {"count": 0, "paused": 0, "causes": {}, "items": []}


def test_processes_are_told_with_the_time_since_they_showed_themselves(api: Api) -> None:
    found = {process["owner"]: process for process in diagnosed(api)["processes"]}
    assert set(found) == {"worker@host:1:ab", "scheduler@host:1:ab"}
    worker = found["worker@host:1:ab"]
    assert (worker["role"], set(worker)) == ("worker", {"owner", "role", "startedAt", "seenSecondsAgo"})
    assert 0 <= worker["seenSecondsAgo"] < 60


@pytest.mark.parametrize(
    ("role", "command"),
    [(ProcessRole.WORKER, "marketplace worker"), (ProcessRole.SCHEDULER, "marketplace scheduler")],
)
def test_a_role_that_no_process_has_is_told_with_the_command_that_brings_one(
    api: Api, role: ProcessRole, command: str
) -> None:
    with api.runtime.database.write() as connection:
        connection.execute(update(processes).where(processes.c.role == role).values(seen_at=now_plus(-60)))
    diagnosis = diagnosed(api)
    assert (diagnosis["status"], advice(diagnosis)) == ("critical", {f"no_{role}_running": ("critical", 1)})
    assert command in diagnosis["recommendations"][0]["action"]
    assert len(diagnosis["processes"]) == 2


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
    assert (stuck["count"], stuck["paused"], stuck["causes"]) == (2, 0, {"no_job": 1, "waiting": 1})
    assert [(plan["planId"], plan["stage"], plan["cause"], plan["jobId"]) for plan in stuck["items"]] == [
        (str(waiting), "phase1", "waiting", str(job_id)),
        (str(jobless), "phase1", "no_job", None),
    ]
    assert 199 < stuck["items"][0]["ageSeconds"] < 260
    assert stuck["items"][0]["limitSeconds"] == 60
    assert diagnosis["queues"][1]["oldestDueSeconds"] > 199
    assert advice(diagnosis) == {"stuck_no_job": ("critical", 1), "stuck_waiting": ("critical", 1)}


def test_plans_that_wait_for_a_paused_queue_are_counted_apart(api: Api) -> None:
    plan_id, _ = api.approved()
    api.age(plan_id, seconds=200)
    database = api.runtime.database
    with database.write() as connection:
        name = queue_control(JobKind.PHASE1)
        set_control(database, connection, name, QueueState.PAUSED, actor="ana", reason="a look")
    diagnosis = diagnosed(api)
    assert diagnosis["stuckPlans"] == {"count": 0, "paused": 1, "causes": {}, "items": []}
    assert advice(diagnosis) == {"queue_paused": ("warning", 1)}


def test_a_paused_queue_is_named_with_its_age_and_not_called_unserved(api: Api) -> None:
    api.approved()
    with api.runtime.database.write() as connection:
        connection.exec_driver_sql("UPDATE marketplace_job_executions SET available_at = available_at - 100000")
    switch = {"queue": "phase1-tasks", "reason": "bad tasks"}
    api.call("POST", "/api/marketplace/queue/pause", json=switch)
    with api.runtime.database.write() as connection:
        connection.exec_driver_sql("UPDATE marketplace_controls SET changed_at = changed_at - 90000")
    diagnosis = diagnosed(api)
    assert advice(diagnosis) == {"queue_paused": ("warning", 1)}
    action = diagnosis["recommendations"][0]["action"]
    assert "phase1-tasks has been paused for 9" in action
    assert "by admin (bad tasks)" in action
    api.call("POST", "/api/marketplace/queue/resume", json=switch)
    assert advice(diagnosed(api)) == {"stuck_waiting": ("critical", 1)}


def test_sync_mode_is_named_and_is_no_trouble(api: Api) -> None:
    api.call("PUT", "/api/marketplace/mode", json={"mode": "sync", "reason": "roll back"})
    diagnosis = diagnosed(api)
    assert (diagnosis["status"], advice(diagnosis)) == ("healthy", {"mode_sync": ("info", 1)})


def test_dead_letters_are_counted_by_kind_and_reason_until_they_are_retried_or_discarded(api: Api) -> None:
    plan_id, job_id = api.approved()
    asked = api.call("POST", "/api/marketplace/analysis", json={"channels": ["amazon"]}).get_json()
    executor = api.executor(raising(BadAnswerError("no JSON"), BadAnswerError("no JSON")))
    executor.run(job_id)
    executor.run(UUID(asked["jobId"]))

    diagnosis = diagnosed(api)

    assert diagnosis["deadLetters"] == [
        {"kind": "analysis", "reason": "bad_answer", "errorClass": "permanent", "count": 1},
        {"kind": "phase1", "reason": "bad_answer", "errorClass": "permanent", "count": 1},
    ]
    assert advice(diagnosis) == {"tasks_not_created": ("warning", 1), "analyses_failed": ("warning", 1)}
    api.call("POST", "/api/marketplace/analysis/recover", json={"planIds": [str(plan_id)]})
    assert advice(diagnosed(api)) == {"analyses_failed": ("warning", 1)}
    api.call("DELETE", f"/api/marketplace/dead-letters/{asked['jobId']}?reason=asked+again")
    assert advice(diagnosed(api)) == {}


def test_messages_that_nobody_can_read_are_named_with_what_to_do(api: Api) -> None:
    archive_unreadable(api.runtime.database)
    diagnosis = diagnosed(api)
    assert diagnosis["deadLetters"] == [{"kind": None, "reason": "unreadable", "errorClass": "message", "count": 1}]
    assert advice(diagnosis) == {"messages_unreadable": ("warning", 1)}
    assert "dead-letters list --error-class message" in diagnosis["recommendations"][0]["action"]


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
            "succeededAfterRetry": 0,
            "lastError": {"code": "network", "errorClass": "recoverable", "message": "reset again"},
            "nextAttemptAt": api.get(f"/api/marketplace/jobs/{job_id}").get_json()["nextAttemptAt"],
        }
    ]
    executor.run(job_id, crash_count=1)
    (statistics,) = diagnosed(api)["retries"]
    assert (statistics["succeededAfterRetry"], statistics["lastError"], statistics["nextAttemptAt"]) == (1, None, None)


def test_without_redis_the_diagnosis_says_so(sqlite_template: Path, tmp_path: Path) -> None:
    with api_on(f"redis://127.0.0.1:{free_port()}/0", sqlite_template, tmp_path) as api:
        diagnosis = diagnosed(api)
        assert diagnosis["redis"] == {"status": "disconnected", "latency": None}
        assert advice(diagnosis) == {"redis_disconnected": ("critical", 1)}
