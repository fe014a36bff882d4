from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import delete, func, insert, select, update

from app.domain.errors import NetworkError, RedisUnavailableError
from app.domain.jobs import QUEUES, JobKind, JobStatus, PlanStatus
from app.job_execution import RunEnd
from app.storage.answers import keep_answer
from app.storage.clock import now_plus
from app.storage.schema import agent_answers, attempts, events, jobs, plans
from tests.pipeline import APPROVER, Pipeline, raising

PHASE1 = QUEUES[JobKind.PHASE1]


def make_due(pipeline: Pipeline, **values: object) -> None:
    with pipeline.database.write() as connection:
        connection.execute(update(jobs).values(next_dispatch_at=now_plus(-1), available_at=now_plus(-1), **values))


def hold(pipeline: Pipeline, *, lease_seconds: float, crash_count: int = 0) -> None:
    """Make every job look held by a process that is gone."""
    make_due(
        pipeline,
        status=JobStatus.ACTIVE,
        fence=1,
        attempt_number=1,
        crash_count=crash_count,
        lease_owner="gone",
        lease_until_at=now_plus(lease_seconds),
    )
    with pipeline.database.write() as connection:
        rows = connection.execute(select(jobs.c.job_id)).all()
        connection.execute(
            insert(attempts),
            [
                {
                    "job_id": row.job_id,
                    "fence": 1,
                    "attempt_number": 1,
                    "worker": "gone",
                    "started_at": pipeline.job(row.job_id).created_at,
                    "outcome": "running",
                }
                for row in rows
            ],
        )


def begun(pipeline: Pipeline) -> Pipeline:
    """Let the first tick, which finds Redis new, pass."""
    pipeline.sweeper.dispatch()
    return pipeline


def test_a_job_whose_hint_was_lost_gets_another(pipeline: Pipeline) -> None:
    begun(pipeline)
    pipeline.approved()
    assert pipeline.sweeper.dispatch() == 0
    make_due(pipeline)
    assert pipeline.sweeper.dispatch() == 1
    assert pipeline.sweeper.dispatch() == 0
    assert pipeline.hints.waiting(PHASE1) == 2


def test_a_retry_is_dispatched_when_its_pause_is_over(pipeline: Pipeline) -> None:
    begun(pipeline)
    job_id = pipeline.approved()
    pipeline.bodies[JobKind.PHASE1] = raising(NetworkError("reset"))
    pipeline.executor.run(job_id)
    assert pipeline.sweeper.dispatch() == 1


def test_no_more_hints_wait_than_the_window_holds(pipeline: Pipeline) -> None:
    begun(pipeline)
    pipeline.settings = pipeline.settings.model_copy(update={"window": 3})
    pipeline.sweeper._settings = pipeline.settings
    for _ in range(5):
        pipeline.approved()
    pipeline.redis.delete(f"{pipeline.hints._namespace}:{PHASE1}")
    make_due(pipeline)
    assert pipeline.sweeper.dispatch() == 3
    assert pipeline.sweeper.dispatch() == 0


def test_an_emptied_redis_makes_every_due_hint_due_now(pipeline: Pipeline) -> None:
    begun(pipeline)
    pipeline.approved()
    pipeline.redis.flushdb()
    assert pipeline.sweeper.dispatch() == 1


def test_two_sweepers_send_each_hint_once(pipeline: Pipeline) -> None:
    begun(pipeline)
    for _ in range(20):
        pipeline.approved()
    pipeline.redis.delete(f"{pipeline.hints._namespace}:{PHASE1}")
    make_due(pipeline)
    with ThreadPoolExecutor(4) as pool:
        sent = sum(pool.map(lambda _: pipeline.sweeper.dispatch(), range(4)))
    assert sent == 20


def test_hints_that_redis_refused_stay_due(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(pipeline)
    pipeline.approved()
    make_due(pipeline)

    def refuse(*_args: object, **_options: object) -> None:
        raise RedisUnavailableError("Redis: ConnectionError")

    with monkeypatch.context() as patch:
        patch.setattr(pipeline.hints, "send", refuse)
        with pytest.raises(RedisUnavailableError):
            pipeline.sweeper.dispatch()
    assert pipeline.value("marketplace_hints_sent_total", sender="sweeper", outcome="failed") == 1
    make_due(pipeline)
    assert pipeline.sweeper.dispatch() == 1


def test_a_job_whose_lease_ran_out_is_due_again_and_its_old_run_is_shut_out(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    hold(pipeline, lease_seconds=-1)
    assert pipeline.sweeper.reap() == 1
    row = pipeline.job(job_id)
    assert (row.status, row.fence, row.crash_count, row.error_count) == (JobStatus.PENDING, 2, 1, 0)
    assert pipeline.attempts(job_id)[0].outcome == "lost"
    assert pipeline.executor.run(job_id, crash_count=1) == RunEnd.COMPLETED
    assert pipeline.value("marketplace_leases_reaped_total", kind="phase1", cause="lease_expired") == 1


def test_a_lease_that_still_runs_is_left_alone(pipeline: Pipeline) -> None:
    pipeline.approved()
    hold(pipeline, lease_seconds=5)
    assert pipeline.sweeper.reap() == 0


def test_a_job_that_loses_its_lease_too_often_becomes_a_dead_letter(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    hold(pipeline, lease_seconds=-1, crash_count=3)
    assert pipeline.sweeper.reap() == 1
    assert pipeline.job(job_id).status == JobStatus.FAILED
    letter = pipeline.dead_letter(job_id)
    assert letter is not None
    assert (letter.reason, len(letter.history)) == ("crash_limit", 1)
    assert "job:failed" in pipeline.events(job_id)


def test_an_analysis_that_loses_its_lease_too_often_marks_its_plan(pipeline: Pipeline) -> None:
    requested = pipeline.analyses.request(
        title=None, channels=["amazon"], context=None, origin="analysis", by=APPROVER, request_id=None
    )
    hold(pipeline, lease_seconds=-1, crash_count=3)
    pipeline.sweeper.reap()
    assert pipeline.plan(requested.plan_id).status == PlanStatus.ANALYSIS_FAILED


def test_an_approved_plan_without_a_job_gets_one(pipeline: Pipeline) -> None:
    plan_id = pipeline.plan(pipeline.imported()).id
    with pipeline.database.write() as connection:
        connection.execute(update(plans).values(status=PlanStatus.APPROVED, approved_at=now_plus()))
    pipeline.sweeper.reconcile()
    pipeline.sweeper.reconcile()
    with pipeline.database.read() as connection:
        rows = connection.execute(select(jobs).where(jobs.c.plan_id == plan_id)).all()
        assert connection.scalar(select(func.count()).select_from(events)) == 1
    assert [(row.kind, row.status) for row in rows] == [(JobKind.PHASE1, JobStatus.PENDING)]
    assert pipeline.executor.run(rows[0].job_id) == RunEnd.COMPLETED


def test_times_that_lie_impossibly_far_ahead_are_pulled_back(pipeline: Pipeline) -> None:
    waiting, held = pipeline.approved(), pipeline.approved()
    hold(pipeline, lease_seconds=3600)
    with pipeline.database.write() as connection:
        connection.execute(
            update(jobs)
            .where(jobs.c.job_id == waiting)
            .values(status=JobStatus.PENDING, lease_until_at=None, available_at=now_plus(3600))
        )
    pipeline.sweeper.reconcile()
    assert pipeline.executor.run(waiting) == RunEnd.COMPLETED
    row = pipeline.job(held)
    assert (row.lease_until_at - row.created_at).total_seconds() < 60


def test_answers_older_than_their_use_are_forgotten(pipeline: Pipeline) -> None:
    with pipeline.database.write() as connection:
        for digest in ("old", "new"):
            keep_answer(
                pipeline.database, connection, agent="amazon", purpose="phase1", digest=digest, answer={"summary": "x"}
            )
        connection.execute(
            update(agent_answers).where(agent_answers.c.question_hash == "old").values(answered_at=now_plus(-100_000))
        )
    pipeline.sweeper.reconcile()
    with pipeline.database.read() as connection:
        assert connection.scalars(select(agent_answers.c.question_hash)).all() == ["new"]


def test_an_analysis_without_a_job_gets_one(pipeline: Pipeline) -> None:
    requested = pipeline.analyses.request(
        title=None, channels=["amazon"], context=None, origin="analysis", by=APPROVER, request_id=None
    )
    with pipeline.database.write() as connection:
        connection.execute(delete(events))
        connection.execute(delete(jobs))
    pipeline.sweeper.reconcile()
    pipeline.sweeper.reconcile()
    with pipeline.database.read() as connection:
        rows = connection.execute(select(jobs)).all()
    assert [(row.plan_id, row.kind) for row in rows] == [(requested.plan_id, JobKind.ANALYSIS)]
    assert pipeline.hints.waiting(QUEUES[JobKind.ANALYSIS]) == 2
