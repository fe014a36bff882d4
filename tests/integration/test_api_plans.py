from __future__ import annotations

from io import BytesIO
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from app.domain.errors import BadAnswerError
from app.domain.jobs import QUEUES, JobKind
from app.domain.roles import Role
from app.storage.schema import audit_log
from tests.api import Api, fields_of, problem_of
from tests.pdf import pdf_saying
from tests.pipeline import raising

ANALYSIS = "/api/marketplace/analysis"


def test_an_analysis_is_accepted_and_runs_as_a_job(api: Api) -> None:
    answer = api.call(
        "POST",
        ANALYSIS,
        Role.APPROVER,
        json={"title": " Shoes ", "channels": ["amazon", "shopee"], "context": "Winter"},
        headers={"X-Request-Id": "ask-1"},
    )

    assert answer.status_code == 202
    accepted = answer.get_json()
    assert accepted["pollUrl"] == f"/api/marketplace/jobs/{accepted['jobId']}"
    plan = api.get(f"{ANALYSIS}/{accepted['planId']}").get_json()
    assert (plan["title"], plan["status"], plan["origin"]) == ("Shoes", "analyzing", "analysis")
    assert (plan["channels"], plan["context"], plan["createdBy"]) == (["amazon", "shopee"], "Winter", "approver")
    assert [job["jobId"] for job in plan["jobs"]] == [accepted["jobId"]]
    assert api.runtime.hints.waiting(QUEUES[JobKind.ANALYSIS]) == 1
    with api.runtime.database.read() as connection:
        assert connection.scalars(select(audit_log.c.request_id)).all() == ["ask-1"]


def test_an_analysis_needs_no_title(api: Api) -> None:
    planned = api.call("POST", ANALYSIS, json={"channels": ["amazon"]}).get_json()
    assert api.get(f"{ANALYSIS}/{planned['planId']}").get_json()["title"] == "Analysis of amazon"


@pytest.mark.parametrize(
    ("name", "content", "context"),
    [
        ("notes.txt", "\ufeffWinter é".encode(), "Winter é"),
        ("notes.MD", b"# Winter\n", "# Winter\n"),
        ("stock.csv", b'sku,"name"\r\n1,"boot"\r\n', 'sku,"name"\r\n1,"boot"\r\n'),
        ("stock.json", b'{"boots": 3}', '{"boots": 3}'),
    ],
    ids=["txt", "md", "csv", "json"],
)
def test_the_text_of_an_uploaded_file_is_the_context(api: Api, name: str, content: bytes, context: str) -> None:
    answer = api.call(
        "POST",
        f"{ANALYSIS}/upload",
        Role.APPROVER,
        data={"file": (BytesIO(content), name), "channels": ["amazon", "shopee"], "title": "Stock"},
    )
    assert answer.status_code == 202
    plan = api.get(f"{ANALYSIS}/{answer.get_json()['planId']}").get_json()
    assert (plan["origin"], plan["title"], plan["context"]) == ("upload", "Stock", context)
    assert plan["channels"] == ["amazon", "shopee"]


def test_the_text_of_an_uploaded_pdf_is_the_context(api: Api) -> None:
    answer = api.call(
        "POST",
        f"{ANALYSIS}/upload",
        data={"file": (BytesIO(pdf_saying("Winter boots")), "a.pdf"), "channels": "amazon"},
    )
    assert answer.status_code == 202
    assert "Winter boots" in api.get(f"{ANALYSIS}/{answer.get_json()['planId']}").get_json()["context"]


def test_an_imported_plan_awaits_approval_and_tells_what_was_mended(api: Api) -> None:
    plan_id = api.imported({"phases": [{"name": "First", "tasks": ["Fix titles"]}]})
    plan = api.get(f"{ANALYSIS}/{plan_id}").get_json()
    assert (plan["status"], plan["origin"]) == ("awaiting_approval", "import")
    assert [phase["number"] for phase in plan["planData"]["phases"]] == [1]
    assert any("phases.0" in note for note in plan["notes"])


def test_what_people_and_agents_write_is_kept_as_text(api: Api) -> None:
    words = "<script>alert(1)</script> '; DROP TABLE marketplace_plans; -- \u202e {{7*7}}"
    plan_id = api.imported({"summary": words, "phases": [{"number": 1, "tasks": [words]}]})
    answer = api.get(f"{ANALYSIS}/{plan_id}")
    assert answer.get_json()["planData"]["summary"] == words
    assert (answer.content_type, answer.headers["X-Content-Type-Options"]) == ("application/json", "nosniff")


def test_approving_answers_202_with_the_job(api: Api) -> None:
    plan_id = api.imported()
    answer = api.decide(plan_id, action="approve")
    assert answer.status_code == 202
    job_id = answer.get_json()["jobId"]
    assert answer.get_json() == {
        "status": "pending",
        "jobId": job_id,
        "pollUrl": f"/api/marketplace/jobs/{job_id}",
        "mode": "queue",
    }
    plan = api.get(f"{ANALYSIS}/{plan_id}").get_json()
    assert (plan["status"], plan["approvedBy"]) == ("approved", "approver")


def test_the_reason_of_an_approval_is_in_the_audit_log(api: Api) -> None:
    api.decide(api.imported(), action="approve", reason="Asked for by Ana")
    with api.runtime.database.read() as connection:
        reasons = connection.scalars(select(audit_log.c.reason).where(audit_log.c.action == "plan.approve")).all()
    assert reasons == ["Asked for by Ana"]


def test_approving_again_answers_the_same_job(api: Api) -> None:
    plan_id = api.imported()
    first, second = (api.decide(plan_id, action="approve").get_json() for _ in range(2))
    assert first == second


def test_polling_reaches_completed_and_the_plan_has_its_tasks(api: Api) -> None:
    plan_id, job_id = api.approved()
    api.executor().run(job_id)
    job = api.get(f"/api/marketplace/jobs/{job_id}").get_json()
    assert (job["status"], job["progress"], job["attemptCount"]) == ("completed", 100, 1)
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["completed"]
    assert api.decide(plan_id, action="approve").get_json()["status"] == "completed"


def test_rejecting_needs_a_reason_and_keeps_it(api: Api) -> None:
    plan_id = api.imported()
    assert fields_of(api.decide(plan_id, action="reject")) == ["reason"]
    answer = api.decide(plan_id, action="reject", reason="Too bold")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "rejected", "planId": str(plan_id)})
    plan = api.get(f"{ANALYSIS}/{plan_id}").get_json()
    assert (plan["status"], plan["rejectionReason"], plan["rejectedBy"]) == ("rejected", "Too bold", "approver")


def test_deciding_the_other_way_is_a_conflict(api: Api) -> None:
    rejected, approved = api.imported(), api.imported()
    api.decide(rejected, action="reject", reason="Too bold")
    api.decide(approved, action="approve")
    for answer in (api.decide(rejected, action="approve"), api.decide(approved, action="reject", reason="No")):
        assert (answer.status_code, problem_of(answer)["code"]) == (409, "conflict")


def test_plans_are_listed_newest_first_by_status_without_their_content(api: Api) -> None:
    plan_ids = [str(api.imported()) for _ in range(3)]
    api.decide(UUID(plan_ids[1]), action="approve")
    waiting = api.get(f"{ANALYSIS}?status=awaiting_approval").get_json()
    assert [plan["planId"] for plan in waiting["items"]] == [plan_ids[2], plan_ids[0]]
    assert "planData" not in waiting["items"][0]
    assert waiting["nextCursor"] is None
    assert len(api.get(ANALYSIS).get_json()["items"]) == 3


def test_pages_join_without_gaps_or_repeats_while_plans_arrive(api: Api) -> None:
    plan_ids = {str(api.imported()) for _ in range(7)}
    seen: list[str] = []
    cursor = ""
    while True:
        page = api.get(f"{ANALYSIS}?limit=3{cursor}").get_json()
        seen += [plan["planId"] for plan in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
        api.imported()
    assert len(seen) == 7
    assert set(seen) == plan_ids


def test_an_unknown_plan_is_not_found(api: Api) -> None:
    for answer in (api.get(f"{ANALYSIS}/{uuid4()}"), api.decide(uuid4(), action="approve")):
        assert (answer.status_code, problem_of(answer)["code"]) == (404, "not_found")


def test_recovering_tells_what_was_done_for_each_plan(api: Api) -> None:
    plan_id, job_id = api.approved()
    awaiting = api.imported()
    api.executor(raising(BadAnswerError("no JSON"))).run(job_id)
    unknown = uuid4()

    answer = api.call(
        "POST", f"{ANALYSIS}/recover", json={"planIds": [str(plan_id), str(awaiting), str(unknown)]}
    ).get_json()

    done = {plan["planId"]: (plan["action"], plan["jobId"]) for plan in answer["plans"]}
    assert done[str(plan_id)][0] == "retried"
    assert done[str(plan_id)][1] not in {None, str(job_id)}
    assert done[str(awaiting)] == ("not_stuck", None)
    assert done[str(unknown)] == ("not_found", None)
    retry = api.get(f"/api/marketplace/jobs/{done[str(plan_id)][1]}").get_json()
    assert (retry["retryOf"], retry["generation"]) == (str(job_id), 2)


def test_recovering_without_ids_looks_at_stuck_plans_only(api: Api) -> None:
    api.approved()
    assert api.call("POST", f"{ANALYSIS}/recover", json={}).get_json() == {"plans": []}


def test_a_refused_analysis_leaves_nothing_behind(api: Api) -> None:
    before = api.digest()
    answer = api.call("POST", ANALYSIS, json={"channels": ["amazon", "walmart"]})
    assert (answer.status_code, fields_of(answer)) == (422, ["channels.1"])
    assert api.digest() == before
