from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from app.api import queue_archive
from app.domain.errors import BadAnswerError, DatabaseUnavailableError, NetworkError
from app.domain.roles import Role
from app.storage.schema import audit_log
from tests.api import Api, api_on
from tests.pipeline import raising
from tests.servers import free_port

MODE = "/api/marketplace/mode"
QUEUE = "/api/marketplace/queue"


def switch(api: Api, verb: str, queue: str | None = None) -> list[dict[str, Any]]:
    """Turn a switch, and return the queues of the answer."""
    named = {} if queue is None else {"queue": queue}
    answer = api.call("POST", f"{QUEUE}/{verb}", json={"reason": f"to {verb}", **named})
    assert answer.status_code == 200, answer.get_data(as_text=True)
    items: list[dict[str, Any]] = answer.get_json()["items"]
    return items


def archived(api: Api, query: str = "") -> list[dict[str, Any]]:
    """Return the lines of an archive."""
    answer = api.get(f"{QUEUE}/archive{query}")
    assert (answer.status_code, answer.content_type) == (200, "application/x-ndjson")
    return [json.loads(line) for line in answer.get_data(as_text=True).splitlines()]


def test_nobody_has_switched_anything_at_first(api: Api) -> None:
    untouched = {"reason": None, "changedAt": None, "changedBy": None}
    assert api.get(MODE).get_json() == {"mode": "queue", **untouched}
    queues = api.get(QUEUE).get_json()["items"]
    assert [(queue["queue"], queue["state"]) for queue in queues] == [
        ("analysis", "running"),
        ("phase1-tasks", "running"),
    ]
    assert all(queue[name] is None for queue in queues for name in untouched)


def test_the_mode_is_changed_for_a_reason(api: Api) -> None:
    changed = api.call("PUT", MODE, json={"mode": "sync", "reason": " roll back "}).get_json()
    assert (changed["mode"], changed["reason"], changed["changedBy"]) == ("sync", "roll back", "admin")
    assert api.get(MODE).get_json() == changed


def test_a_switch_of_one_queue_answers_that_queue_and_one_of_all_answers_all(api: Api) -> None:
    (paused,) = switch(api, "pause", "analysis")
    assert (paused["queue"], paused["state"], paused["reason"]) == ("analysis", "paused", "to pause")
    assert [(queue["queue"], queue["state"]) for queue in switch(api, "drain")] == [
        ("analysis", "draining"),
        ("phase1-tasks", "draining"),
    ]
    assert {queue["state"] for queue in switch(api, "resume")} == {"running"}


def test_a_queue_tells_what_is_in_it(api: Api) -> None:
    api.approved()
    _, delayed = api.approved()
    api.executor(raising(NetworkError("reset"))).run(delayed)
    with api.runtime.database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE marketplace_job_executions SET available_at = available_at + 9000 WHERE error_count > 0"
        )
    found = api.get(QUEUE).get_json()["items"][1]
    assert (found["pendingDue"], found["pendingDelayed"], found["active"], found["left"]) == (1, 1, 0, None)
    assert found["hintsWaiting"] == 2
    assert 0 <= found["oldestDueSeconds"] < 60
    assert found["nextDueAt"] == api.get(f"/api/marketplace/jobs/{delayed}").get_json()["nextAttemptAt"]


def test_a_queue_without_redis_tells_no_hints(sqlite_template: Path, tmp_path: Path) -> None:
    with api_on(f"redis://127.0.0.1:{free_port()}/0", sqlite_template, tmp_path) as api:
        assert [queue["hintsWaiting"] for queue in switch(api, "drain")] == [None, None]


def test_the_audit_log_has_who_turned_a_switch_and_the_request(api: Api) -> None:
    api.call("POST", f"{QUEUE}/pause", json={"reason": "stop"}, headers={"X-Request-Id": "r-1"})
    with api.runtime.database.read() as connection:
        rows = connection.execute(select(audit_log).where(audit_log.c.action == "queue.pause")).all()
    assert sorted((row.actor, row.target_id, row.reason, row.request_id) for row in rows) == [
        ("admin", "analysis", "stop", "r-1"),
        ("admin", "phase1-tasks", "stop", "r-1"),
    ]


def test_a_viewer_sees_the_switches(api: Api) -> None:
    assert {api.get(path, Role.VIEWER).status_code for path in (MODE, QUEUE, f"{QUEUE}/archive")} == {200}


def test_an_archive_has_every_open_job_with_its_attempts(api: Api) -> None:
    waiting_plan, waiting = api.approved()
    _, retried = api.approved()
    _, done = api.approved()
    api.executor(raising(NetworkError("reset"))).run(retried)
    api.executor().run(done)
    switch(api, "pause")

    head, *jobs, end = archived(api)

    assert (head["type"], head["jobCount"], head["failedWithinSeconds"]) == ("archive", 2, None)
    assert head["mode"]["mode"] == "queue"
    assert [queue["state"] for queue in head["queues"]] == ["paused", "paused"]
    assert end == {"type": "end", "jobCount": 2}
    first, second = jobs
    assert (first["jobId"], first["planId"], first["status"]) == (str(waiting), str(waiting_plan), "pending")
    assert (first["queue"], first["attempts"]) == ("phase1-tasks", [])
    assert 0 <= first["ageSeconds"] < 60
    assert (second["jobId"], second["errorCount"], second["error"]["code"]) == (str(retried), 1, "network")
    assert [(run["attempt"], run["outcome"]) for run in second["attempts"]] == [(1, "retrying")]


def test_an_archive_has_the_failed_jobs_of_a_span_when_it_is_asked_for_them(api: Api) -> None:
    _, failed = api.approved()
    _, old = api.approved()
    executor = api.executor(raising(BadAnswerError("no JSON"), BadAnswerError("no JSON")))
    executor.run(failed)
    executor.run(old)
    with api.runtime.database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE marketplace_dead_letters SET archived_at = archived_at - 7200000"
            f" WHERE job_id = '{old.hex if api.runtime.database.dialect == 'sqlite' else old}'"
        )
    assert [line["type"] for line in archived(api)] == ["archive", "end"]
    (job,) = [line for line in archived(api, "?failedSince=1h") if line["type"] == "job"]
    assert (job["jobId"], job["status"], job["error"]["code"]) == (str(failed), "failed", "bad_answer")
    assert len(archived(api, "?failedSince=1d")) == 4


def test_an_archive_of_several_pages_has_every_job_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_archive, "_PAGE", 2)
    jobs = [api.approved()[1] for _ in range(5)]
    assert [UUID(line["jobId"]) for line in archived(api) if line["type"] == "job"] == jobs


def test_an_archive_that_the_database_breaks_off_has_no_last_line(
    sqlite_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_archive, "_PAGE", 1)
    for _ in range(2):
        sqlite_api.approved()
    answer = sqlite_api.get(f"{QUEUE}/archive")
    lines: Iterator[bytes | str] = iter(answer.response)
    assert [json.loads(next(lines))["type"] for _ in range(2)] == ["archive", "job"]
    sqlite_api.lose_database()
    with pytest.raises(DatabaseUnavailableError):
        next(lines)
