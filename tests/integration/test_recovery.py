from __future__ import annotations

from uuid import UUID, uuid4

from sqlalchemy import delete, update

from app.domain.errors import BadAnswerError
from app.domain.jobs import JobKind, JobStatus, PlanStatus
from app.job_execution import Finished, RunEnd
from app.job_runs import JobRun
from app.recovery import RecoveredPlan, RecoveryAction
from app.storage.clock import now_plus
from app.storage.plans import set_latch
from app.storage.schema import dead_letters, events, jobs, plans
from tests.pipeline import APPROVER, Pipeline, raising


def recover(pipeline: Pipeline, *plan_ids: UUID) -> list[RecoveredPlan]:
    return pipeline.recovery.recover(plan_ids or None, by=APPROVER, request_id=None)


def long_ago(pipeline: Pipeline) -> None:
    with pipeline.database.write() as connection:
        connection.execute(update(plans).values(approved_at=now_plus(-3600)))


def test_a_stuck_plan_without_a_job_gets_one(pipeline: Pipeline) -> None:
    plan_id = pipeline.imported()
    with pipeline.database.write() as connection:
        connection.execute(update(plans).values(status=PlanStatus.APPROVED))
    long_ago(pipeline)
    (done,) = recover(pipeline)
    assert (done.plan_id, done.action) == (plan_id, RecoveryAction.JOB_CREATED)
    assert done.job_id is not None
    assert pipeline.executor.run(done.job_id) == RunEnd.COMPLETED


def test_a_job_that_waits_too_long_gets_a_hint(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    with pipeline.database.write() as connection:
        connection.execute(update(jobs).values(available_at=now_plus(-200)))
    assert [(done.action, done.job_id) for done in recover(pipeline)] == [(RecoveryAction.HINT_SENT, job_id)]


def test_a_pause_before_a_retry_ends_only_for_a_plan_that_is_named(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    long_ago(pipeline)
    with pipeline.database.write() as connection:
        connection.execute(update(jobs).values(available_at=now_plus(30)))
    assert recover(pipeline) == []
    (done,) = recover(pipeline, pipeline.job(job_id).plan_id)
    assert (done.action, done.job_id) == (RecoveryAction.HINT_SENT, job_id)
    assert pipeline.executor.run(job_id) == RunEnd.COMPLETED


def test_the_job_of_a_dead_worker_is_taken_back_when_no_scheduler_does(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    with pipeline.database.write() as connection:
        connection.execute(update(jobs).values(status=JobStatus.ACTIVE, fence=1, lease_until_at=now_plus(-30)))
    recover(pipeline)
    assert pipeline.job(job_id).status == JobStatus.PENDING
    assert pipeline.executor.run(job_id, crash_count=1) == RunEnd.COMPLETED


def test_a_failed_job_without_its_dead_letter_can_be_tried_again(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    pipeline.bodies[JobKind.PHASE1] = raising(BadAnswerError("x"))
    pipeline.executor.run(job_id)
    with pipeline.database.write() as connection:
        connection.execute(delete(dead_letters))
    (done,) = recover(pipeline, pipeline.job(job_id).plan_id)
    assert done.action == RecoveryAction.RETRIED


def test_a_stuck_analysis_is_recovered_too(pipeline: Pipeline) -> None:
    requested = pipeline.analyses.request(
        title=None, channels=["amazon"], context=None, origin="analysis", by=APPROVER, request_id=None
    )
    with pipeline.database.write() as connection:
        connection.execute(update(jobs).values(available_at=now_plus(-200)))
    assert [(done.action, done.job_id) for done in recover(pipeline)] == [(RecoveryAction.HINT_SENT, requested.job_id)]
    with pipeline.database.write() as connection:
        connection.execute(delete(events))
        connection.execute(delete(jobs))
    (done,) = recover(pipeline, requested.plan_id)
    assert (done.action, done.kind) == (RecoveryAction.JOB_CREATED, JobKind.ANALYSIS)


def test_a_running_job_is_left_alone(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    seen: list[RecoveredPlan] = []

    def body(_run: JobRun) -> Finished:
        seen.extend(recover(pipeline, pipeline.job(job_id).plan_id))
        return Finished(lambda _connection: {})

    pipeline.bodies[JobKind.PHASE1] = body
    assert pipeline.executor.run(job_id) == RunEnd.COMPLETED
    assert [done.action for done in seen] == [RecoveryAction.RUNNING]


def test_a_failed_job_is_tried_again_only_when_its_plan_is_named(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    plan_id = pipeline.job(job_id).plan_id
    pipeline.bodies[JobKind.PHASE1] = raising(BadAnswerError("x"))
    pipeline.executor.run(job_id)
    long_ago(pipeline)
    assert [done.action for done in recover(pipeline)] == [RecoveryAction.LEFT_FAILED]
    (done,) = recover(pipeline, plan_id, plan_id)
    assert done.action == RecoveryAction.RETRIED
    assert done.job_id is not None
    row = pipeline.job(done.job_id)
    assert (row.generation, row.retry_of) == (2, job_id)
    assert pipeline.executor.run(done.job_id) == RunEnd.COMPLETED


def test_plans_that_are_not_stuck_are_named_as_such(pipeline: Pipeline) -> None:
    waiting, unknown = pipeline.imported(), uuid4()
    job_id = pipeline.approved()
    finished = pipeline.job(job_id).plan_id

    def body(_run: JobRun) -> Finished:
        return Finished(lambda connection: {"latched": set_latch(connection, finished, job_id)})

    pipeline.bodies[JobKind.PHASE1] = body
    pipeline.executor.run(job_id)
    actions = [done.action for done in recover(pipeline, waiting, finished, unknown)]
    assert actions == [RecoveryAction.NOT_STUCK, RecoveryAction.NOT_STUCK, RecoveryAction.NOT_FOUND]


def test_a_plan_approved_a_moment_ago_is_not_stuck_yet(pipeline: Pipeline) -> None:
    pipeline.approved()
    assert recover(pipeline) == []
