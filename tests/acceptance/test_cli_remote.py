"""`marketplace plans` and `marketplace jobs` against a running stack."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.simulations import SimulatedAgents
from deploy.local.story_plans import PLAIN, WITHOUT_PHASE_1
from tests.servers import free_port
from tests.stacks import RunningStack, import_plan, marketplace, running_stack

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("stack"), MARKETPLACE_JOBS__MAX_RETRIES="0") as stack:
        yield stack


def test_a_plan_is_approved_and_waited_for(stack: RunningStack) -> None:
    plan = import_plan(stack.api, "Plan to approve", "amazon", PLAIN)
    waiting = marketplace("plans", "list", "--status", "awaiting_approval", "--json", cwd=stack.directory)
    assert plan in [item["planId"] for item in json.loads(waiting.stdout)]

    approved = marketplace("plans", "approve", plan, "--wait", "--json", cwd=stack.directory)
    assert approved.returncode == 0
    job = json.loads(approved.stdout)
    assert (job["status"], job["planId"]) == ("completed", plan)

    shown = marketplace("plans", "show", plan, cwd=stack.directory)
    assert "Answer buyers' questions within an hour" in shown.stdout
    assert job["jobId"] in marketplace("jobs", "list", "-q", "status:completed", cwd=stack.directory).stdout
    assert "completed" in marketplace("jobs", "show", job["jobId"], cwd=stack.directory).stdout
    again = marketplace("plans", "approve", plan, "--json", cwd=stack.directory)
    assert json.loads(again.stdout)["jobId"] == job["jobId"]


def test_jobs_watch_prints_one_json_document_per_change_and_fails_with_its_job(stack: RunningStack) -> None:
    SimulatedAgents(stack.facts["urls"]["agents"]).behave("shein", mode="error")
    requested = stack.api.post("analysis", {"channels": ["shein"]})
    watched = marketplace("jobs", "watch", requested["jobId"], "--json", cwd=stack.directory)
    assert watched.returncode == 1
    changes = [json.loads(line) for line in watched.stdout.splitlines()]
    assert changes[-1]["status"] == "failed"
    assert marketplace("jobs", "watch", requested["jobId"], cwd=stack.directory).stdout == "failed\n"


def test_a_plan_is_rejected_with_a_reason_and_then_cannot_be_approved(stack: RunningStack) -> None:
    plan = import_plan(stack.api, "Plan to reject", "amazon", WITHOUT_PHASE_1)
    assert marketplace("plans", "reject", plan, cwd=stack.directory).returncode == 2
    assert marketplace("plans", "reject", plan, "--reason", "too early", cwd=stack.directory).returncode == 0
    conflict = marketplace("plans", "approve", plan, cwd=stack.directory)
    assert conflict.returncode == 1
    assert conflict.stderr.startswith("error: ")


def test_lists_follow_pages_up_to_the_limit(stack: RunningStack) -> None:
    plans = {import_plan(stack.api, f"Plan {n}", "amazon", PLAIN) for n in range(3)}
    listed = json.loads(marketplace("plans", "list", "--limit", "3", "--json", cwd=stack.directory).stdout)
    assert {plan["planId"] for plan in listed} == plans


def test_an_unknown_job_is_not_found(stack: RunningStack) -> None:
    result = marketplace("jobs", "show", str(uuid.uuid4()), cwd=stack.directory)
    assert (result.returncode, result.stdout) == (3, "")


def test_something_that_is_no_id_is_a_usage_error(stack: RunningStack) -> None:
    assert marketplace("jobs", "show", "../tasks", cwd=stack.directory).returncode == 2


def test_a_wrong_token_is_not_allowed(stack: RunningStack, tmp_path: Path) -> None:
    web = stack.facts["urls"]["web"]
    result = marketplace("plans", "list", cwd=tmp_path, MARKETPLACE_URL=web, MARKETPLACE_TOKEN="mp_wrong")
    assert result.returncode == 4


def test_a_remote_stack_is_reached_with_a_token_from_a_file(stack: RunningStack, tmp_path: Path) -> None:
    result = marketplace(
        "plans",
        "list",
        "--json",
        cwd=tmp_path,
        MARKETPLACE_URL=stack.facts["urls"]["web"] + "/",
        MARKETPLACE_TOKEN_FILE=str(stack.data / "admin-token"),
    )
    assert result.returncode == 0
    assert isinstance(json.loads(result.stdout), list)


def test_the_local_admin_token_goes_to_no_other_stack(stack: RunningStack) -> None:
    result = marketplace("plans", "list", cwd=stack.directory, MARKETPLACE_URL=stack.facts["urls"]["web"])
    assert result.returncode == 4


def test_a_stack_that_does_not_answer_is_unreachable(tmp_path: Path) -> None:
    result = marketplace("plans", "list", cwd=tmp_path, MARKETPLACE_URL=f"http://127.0.0.1:{free_port()}")
    assert result.returncode == 5
    assert "cannot be reached" in result.stderr


def test_no_stack_at_all_is_unreachable_and_says_what_to_do(tmp_path: Path) -> None:
    result = marketplace("jobs", "list", cwd=tmp_path)
    assert result.returncode == 5
    assert "marketplace run" in result.stderr


def test_doctor_finds_a_running_stack_healthy(stack: RunningStack) -> None:
    result = marketplace("doctor", "--json", cwd=stack.directory)
    assert result.returncode == 0
    checks = {check["name"]: check["detail"] for check in json.loads(result.stdout)}
    assert checks["Running stack"] == "ready"
    assert checks["Database"].startswith("sqlite is at ")


def test_doctor_names_a_fix_for_each_problem(tmp_path: Path) -> None:
    result = marketplace(
        "doctor",
        "--json",
        cwd=tmp_path,
        DATABASE_URL=f"sqlite:///{tmp_path}/empty.db",
        REDIS_URL=f"redis://:s3cret@127.0.0.1:{free_port()}/0",
        MARKETPLACE_AGENTS__FILE=str(tmp_path / "missing.yaml"),
    )
    assert result.returncode == 6
    fixes = {check["name"]: check["fix"] for check in json.loads(result.stdout) if not check["ok"]}
    assert set(fixes) == {"Database", "Redis", "Agents"}
    assert fixes["Database"] == "marketplace db upgrade"
    assert "s3cret" not in result.stdout + result.stderr
