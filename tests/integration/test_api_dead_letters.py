from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from app.domain.errors import BadAnswerError, NetworkError
from app.domain.jobs import JobKind
from app.domain.roles import Role
from app.storage.schema import dead_letters
from tests.api import Api, api_on, problem_of
from tests.letters import archive_many, archive_one, archive_unreadable
from tests.pipeline import raising

LETTERS = "/api/marketplace/dead-letters"


def listed(api: Api, query: str = "") -> list[dict[str, Any]]:
    """Return the items of a list."""
    answer = api.get(f"{LETTERS}{query}")
    assert answer.status_code == 200, answer.get_data(as_text=True)
    items: list[dict[str, Any]] = answer.get_json()["items"]
    return items


def exported(api: Api, query: str = "") -> list[dict[str, Any]]:
    """Return what an export has on its lines."""
    answer = api.get(f"{LETTERS}/export{query}")
    assert answer.content_type == "application/x-ndjson"
    return [json.loads(line) for line in answer.get_data(as_text=True).splitlines()]


def test_a_dead_letter_is_shown_with_every_attempt_and_what_stood_in_the_queue(api: Api) -> None:
    plan_id, job_id = api.approved()
    executor = api.executor(raising(NetworkError("connection reset"), BadAnswerError("no JSON")))
    for _ in range(2):
        executor.run(job_id)

    letter = api.get(f"{LETTERS}/{job_id}").get_json()

    assert (letter["id"], letter["jobId"], letter["planId"]) == (str(job_id), str(job_id), str(plan_id))
    assert (letter["kind"], letter["queue"], letter["status"]) == ("phase1", "phase1-tasks", "waiting")
    assert (letter["reason"], letter["errorClass"], letter["errorMessage"]) == ("bad_answer", "permanent", "no JSON")
    assert letter["payload"]["planId"] == str(plan_id)
    assert [(attempt["outcome"], attempt["error"]) for attempt in letter["attempts"]] == [
        ("retrying", {"code": "network", "errorClass": "recoverable", "message": "connection reset"}),
        ("failed", {"code": "bad_answer", "errorClass": "permanent", "message": "no JSON"}),
    ]
    assert letter["attempts"] == api.get(f"/api/marketplace/jobs/{job_id}").get_json()["attempts"]


def test_a_letter_leads_to_the_job_that_follows(api: Api) -> None:
    failed = archive_one(api.runtime.database)
    answer = api.call("POST", f"{LETTERS}/{failed}/retry")
    assert answer.status_code == 202
    retried = answer.get_json()
    assert (retried["status"], retried["retryOf"]) == ("pending", str(failed))
    assert api.get(retried["pollUrl"]).get_json()["retryOf"] == str(failed)
    letter = api.get(f"{LETTERS}/{failed}").get_json()
    assert (letter["status"], letter["retriedAs"], letter["retryUrl"]) == (
        "retried",
        retried["jobId"],
        retried["pollUrl"],
    )
    assert api.call("POST", f"{LETTERS}/{failed}/retry").get_json() == retried


def test_a_message_is_known_by_an_id_of_its_own_and_keeps_its_bytes(api: Api) -> None:
    message = archive_unreadable(api.runtime.database)
    letter = api.get(f"{LETTERS}/{message}").get_json()
    assert (letter["id"], letter["jobId"], letter["kind"]) == (str(message), None, None)
    assert base64.b64decode(letter["payload"]["base64"]) == b"\xff{"
    assert [item["id"] for item in listed(api, "?errorClass=message")] == [str(message)]
    assert problem_of(api.call("POST", f"{LETTERS}/{message}/retry"))["code"] == "conflict"
    assert api.call("DELETE", f"{LETTERS}/{message}?reason=a+scanner").get_json()["status"] == "discarded"


def test_a_discarded_letter_stays_in_the_archive_with_its_reason(api: Api) -> None:
    failed = archive_one(api.runtime.database)
    letter = api.call("DELETE", f"{LETTERS}/{failed}?reason=the+seller+has+left").get_json()
    assert (letter["status"], letter["resolvedBy"]) == ("discarded", "admin")
    assert letter["resolutionReason"] == "the seller has left"
    assert listed(api, "?status=waiting") == []
    assert listed(api, "?status=discarded") == [letter]


def test_pages_join_newest_first(api: Api) -> None:
    failed = archive_many(api.runtime.database, 5)
    first = api.get(f"{LETTERS}?limit=3").get_json()
    second = api.get(f"{LETTERS}?limit=3&cursor={first['nextCursor']}").get_json()
    assert [item["jobId"] for item in first["items"] + second["items"]] == [str(job_id) for job_id in failed[::-1]]
    assert second["nextCursor"] is None


@pytest.mark.parametrize(
    "query",
    ["kind=analysis", "reason=bad_answer", "errorClass=permanent", "agent=shopee", "since=1h", "text=json"],
)
def test_a_list_and_an_export_find_the_same(api: Api, query: str) -> None:
    archive_one(api.runtime.database, age_seconds=7200)
    wanted = archive_one(
        api.runtime.database, kind=JobKind.ANALYSIS, reason="bad_answer", message="no JSON", channels=("shopee",)
    )
    assert [item["id"] for item in listed(api, f"?{query}")] == [str(wanted)]
    (whole,) = exported(api, f"?{query}")
    assert whole == api.get(f"{LETTERS}/{wanted}").get_json()


def test_an_export_has_every_letter_on_a_line_of_its_own(api: Api) -> None:
    failed = archive_many(api.runtime.database, 205, message="one\ntwo\u2028three")
    lines = exported(api)
    assert [line["jobId"] for line in lines] == [str(job_id) for job_id in failed[::-1]]
    assert lines[0]["errorMessage"] == "one\ntwo\u2028three"
    assert exported(api, "?status=discarded") == []


def test_an_export_of_a_database_that_does_not_answer_is_a_problem(
    sqlite_template: Path, tmp_path: Path, redis_url: str
) -> None:
    with api_on(redis_url, sqlite_template, tmp_path) as api:
        api.lose_database()
        answer = api.get(f"{LETTERS}/export")
        assert problem_of(answer)["code"] == "database_unavailable"


def test_a_bulk_retry_tells_what_became_of_each_letter(api: Api) -> None:
    failed = archive_many(api.runtime.database, 3)
    api.call("POST", f"{LETTERS}/{failed[0]}/retry")
    archive_one(api.runtime.database, reason="bad_answer")
    order = {"filter": {"errorClass": "recoverable", "agent": "amazon", "since": "1d"}, "limit": 10}

    foreseen = api.call("POST", f"{LETTERS}/retry", json={**order, "dryRun": True}).get_json()
    assert foreseen == {
        "dryRun": True,
        "matched": 2,
        "retried": 2,
        "skipped": 0,
        "skippedCauses": {},
        "jobs": [],
    }
    done = api.call("POST", f"{LETTERS}/retry", json={**order, "ratePerSecond": 5}).get_json()
    assert (done["matched"], done["retried"], done["skipped"]) == (2, 2, 0)
    assert [job["retryOf"] for job in done["jobs"]] == [str(job_id) for job_id in failed[1:]]
    for job in done["jobs"]:
        assert api.get(f"/api/marketplace/jobs/{job['jobId']}").get_json()["status"] == "pending"


def test_a_bulk_retry_names_the_cause_of_what_it_skips(api: Api) -> None:
    archive_one(api.runtime.database, kind=JobKind.ANALYSIS)
    with api.runtime.database.write() as connection:
        connection.exec_driver_sql("UPDATE marketplace_plans SET status = 'rejected'")
    done = api.call("POST", f"{LETTERS}/retry", json={"filter": {}}).get_json()
    assert (done["matched"], done["retried"], done["skippedCauses"]) == (1, 0, {"plan_moved_on": 1})


def test_the_answer_to_a_bulk_retry_lists_the_first_hundred_jobs(sqlite_api: Api) -> None:
    failed = archive_many(sqlite_api.runtime.database, 120)
    done = sqlite_api.call("POST", f"{LETTERS}/retry", json={"filter": {}, "limit": 1000}).get_json()
    assert done["retried"] == 120
    assert [job["retryOf"] for job in done["jobs"]] == [str(job_id) for job_id in failed[:100]]


def test_an_approver_reads_and_only_an_administrator_decides(sqlite_api: Api) -> None:
    failed = archive_one(sqlite_api.runtime.database)
    assert sqlite_api.get(f"{LETTERS}/{failed}", Role.VIEWER).status_code == 200
    assert sqlite_api.call("POST", f"{LETTERS}/{failed}/retry", Role.APPROVER).status_code == 403
    assert sqlite_api.call("POST", f"{LETTERS}/{failed}/retry", Role.ADMIN).status_code == 202


def test_a_letter_of_the_version_before_is_listed_in_the_queue_of_its_kind(api: Api) -> None:
    failed = archive_one(api.runtime.database)
    with api.runtime.database.write() as connection:
        connection.execute(update(dead_letters).values(queue=""))
    assert [(item["jobId"], item["queue"]) for item in listed(api)] == [(str(failed), "phase1-tasks")]
