from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from app.domain.controls import Mode
from app.domain.deadline import Deadline
from app.domain.errors import ConflictError, InvalidInputError, NotFoundError
from app.domain.jobs import QUEUES, JobKind, JobStatus, PlanStatus
from app.storage.schema import audit_log, events, jobs, plans
from tests.pipeline import APPROVER, Pipeline


def test_approving_creates_the_job_its_event_and_an_audit_row_and_sends_a_hint(pipeline: Pipeline) -> None:
    plan_id = pipeline.imported()

    approval = pipeline.approvals.approve(plan_id, by=APPROVER, request_id="req-1")

    job = pipeline.job(approval.job_id)
    assert (job.status, job.kind, job.generation, job.request_id) == (JobStatus.PENDING, JobKind.PHASE1, 1, "req-1")
    plan = pipeline.plan(plan_id)
    assert (plan.status, plan.approved_by) == (PlanStatus.APPROVED, "ana")
    assert pipeline.events(approval.job_id) == ["job:enqueued"]
    with pipeline.database.read() as connection:
        row = connection.execute(select(audit_log).where(audit_log.c.action == "plan.approve")).one()
    assert (row.actor, row.target_id, row.request_id) == ("ana", str(plan_id), "req-1")
    assert pipeline.hints.waiting(QUEUES[JobKind.PHASE1]) == 1


def test_approving_again_answers_the_same_job(pipeline: Pipeline) -> None:
    plan_id = pipeline.imported()
    first = pipeline.approvals.approve(plan_id, by=APPROVER, request_id=None)
    assert pipeline.approvals.approve(plan_id, by=APPROVER, request_id=None) == first
    pipeline.executor.run(first.job_id)
    again = pipeline.approvals.approve(plan_id, by=APPROVER, request_id=None)
    assert (again.job_id, again.job_status) == (first.job_id, JobStatus.COMPLETED)


def test_fifty_approvals_at_once_give_one_job(pipeline: Pipeline) -> None:
    plan_id = pipeline.imported()
    with ThreadPoolExecutor(50) as pool:
        answers = list(
            pool.map(lambda _: pipeline.approvals.approve(plan_id, by=APPROVER, request_id=None).job_id, range(50))
        )
    assert len(set(answers)) == 1
    with pipeline.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(jobs)) == 1
        assert connection.scalar(select(func.count()).select_from(events)) == 1
        assert connection.scalar(select(func.count()).where(audit_log.c.action == "plan.approve")) == 1


def test_a_rejected_plan_cannot_be_approved_nor_an_approved_one_rejected(pipeline: Pipeline) -> None:
    rejected, approved = pipeline.imported(), pipeline.imported()
    pipeline.approvals.reject(rejected, by=APPROVER, reason="Too bold", request_id=None)
    pipeline.approvals.approve(approved, by=APPROVER, request_id=None)
    with pytest.raises(ConflictError, match="rejected already"):
        pipeline.approvals.approve(rejected, by=APPROVER, request_id=None)
    with pytest.raises(ConflictError, match="approved already"):
        pipeline.approvals.reject(approved, by=APPROVER, reason="No", request_id=None)
    assert pipeline.plan(rejected).rejection_reason == "Too bold"


def test_rejecting_again_changes_nothing(pipeline: Pipeline) -> None:
    plan_id = pipeline.imported()
    pipeline.approvals.reject(plan_id, by=APPROVER, reason="Too bold", request_id=None)
    before = pipeline.plan(plan_id)
    pipeline.approvals.reject(plan_id, by=APPROVER, reason="Other", request_id=None)
    assert pipeline.plan(plan_id) == before


def test_a_plan_that_does_not_exist_cannot_be_decided(pipeline: Pipeline) -> None:
    with pytest.raises(NotFoundError):
        pipeline.approvals.approve(uuid4(), by=APPROVER, request_id=None)
    with pytest.raises(NotFoundError):
        pipeline.approvals.reject(uuid4(), by=APPROVER, reason="No", request_id=None)


def test_a_plan_under_analysis_cannot_be_approved(pipeline: Pipeline) -> None:
    requested = pipeline.analyses.request(
        title=None, channels=["amazon"], context=None, origin="analysis", by=APPROVER, request_id=None
    )
    with pytest.raises(ConflictError, match="not finished"):
        pipeline.approvals.approve(requested.plan_id, by=APPROVER, request_id=None)
    assert pipeline.job(requested.job_id).kind == JobKind.ANALYSIS


@pytest.mark.parametrize(
    ("channels", "field"),
    [([], "channels"), (["ebay"], "channels.0"), (["amazon", "amazon"], "channels.1")],
    ids=["none", "unknown", "twice"],
)
def test_a_plan_names_known_channels_once(pipeline: Pipeline, channels: list[str], field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        pipeline.analyses.request(
            title=None, channels=channels, context=None, origin="analysis", by=APPROVER, request_id=None
        )
    assert caught.value.field == field
    with pipeline.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(plans)) == 0


def test_an_approval_counts_even_when_redis_is_away(pipeline: Pipeline) -> None:
    pipeline.redis.connection_pool.disconnect()
    pipeline.redis.connection_pool.connection_kwargs["port"] = 1
    job_id = pipeline.approved()
    assert pipeline.job(job_id).status == JobStatus.COMPLETED
    assert pipeline.value("marketplace_hints_sent_total", sender="web", outcome="failed") == 1
    assert pipeline.value("marketplace_job_runs_total", kind="phase1", via="sync") == 1
    assert [attempt.worker for attempt in pipeline.attempts(job_id)] == ["web-1"]


def test_a_process_that_is_busy_leaves_the_job_to_the_scheduler(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.redis.connection_pool.connection_kwargs["port"] = 1
    answer_by = Deadline.after(60)
    remaining = iter([60.0, 44.0])
    monkeypatch.setattr(Deadline, "remaining_seconds", property(lambda _self: next(remaining)))
    approval = pipeline.approvals.approve(pipeline.imported(), by=APPROVER, request_id=None, answer_by=answer_by)
    assert (approval.job_status, approval.mode) == (JobStatus.PENDING, Mode.QUEUE)
    assert pipeline.attempts(approval.job_id) == []
