"""A stuck plan in a real stack: told by the scheduler, shown by the API, mended where that is safe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from app.domain.jobs import PlanStatus
from app.storage.clock import now_plus
from app.storage.schema import plans
from deploy.local.story_plans import PLAIN
from tests.servers import wait_until
from tests.stacks import RunningStack, approve, database_of, import_plan, running_stack

pytestmark = pytest.mark.process


def told(stack: RunningStack) -> list[dict[str, Any]]:
    """Return what the scheduler has told of stuck plans."""
    lines = (stack.data / "logs" / "scheduler.log").read_text().splitlines()
    logs = [json.loads(line) for line in lines if line.startswith("{")]
    return [log for log in logs if log["event"] in {"plan_stuck", "plan_unstuck"}]


def test_a_plan_that_was_approved_without_a_job_gets_its_tasks_within_seconds(tmp_path: Path) -> None:
    # Else the sweeper's round may mend the plan before the watch, which tells of it, has found it.
    settings = {"MARKETPLACE_JOBS__RECONCILE_SECONDS": "600"}
    with running_stack(tmp_path, **settings) as stack, database_of(stack) as database:
        plan_id = import_plan(stack.api, "Shoes", "amazon", PLAIN)
        with database.write() as connection:
            connection.execute(update(plans).values(status=PlanStatus.APPROVED, approved_at=now_plus()))
        wait_until(lambda: stack.api.get(f"analysis/{plan_id}")["tasks"], what="the tasks")
        wait_until(lambda: len(told(stack)) == 2, what="the end of it in the log")
        assert [(log["event"], log["cause"], log["plan_id"]) for log in told(stack)] == [
            ("plan_stuck", "no_job", plan_id),
            ("plan_unstuck", "no_job", plan_id),
        ]


def test_a_job_that_no_worker_takes_is_told_and_shown(tmp_path: Path) -> None:
    settings = {"MARKETPLACE_WORKER__PHASE1_THREADS": "0", "MARKETPLACE_JOBS__STUCK_AFTER_SECONDS": "1"}
    with running_stack(tmp_path, **settings) as stack:
        job_id = approve(stack.api, import_plan(stack.api, "Shoes", "amazon", PLAIN))
        (log,) = wait_until(lambda: told(stack), what="the scheduler to notice")
        assert (log["cause"], log["stage"], log["job_id"]) == ("waiting", "phase1", job_id)
        diagnosis = stack.api.get("diagnostics")
        assert [plan["jobId"] for plan in diagnosis["stuckPlans"]["items"]] == [job_id]
        assert "stuck_waiting" in [advice["issue"] for advice in diagnosis["recommendations"]]
