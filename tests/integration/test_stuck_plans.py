"""Stuck plans: each cause is found in both databases, and at a price that finished jobs do not raise."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Select, delete, insert, update

from app.domain.controls import QueueState, queue_control
from app.domain.errors import BadAnswerError
from app.domain.jobs import JobKind, JobStatus, PlanStatus
from app.domain.stuck_plans import StuckCause
from app.settings import JobSettings
from app.storage import stuck_plans as storage
from app.storage.clock import now_plus
from app.storage.controls import set_control
from app.storage.plans import set_latch
from app.storage.schema import attempts, dead_letters, events, jobs, plans
from app.storage.stuck_plans import StuckPlan, count_stuck_plans, stuck_plans
from tests.pipeline import APPROVER, Pipeline, raising


def found(pipeline: Pipeline) -> list[StuckPlan]:
    with pipeline.database.read() as connection:
        return list(stuck_plans(connection, pipeline.settings, limit=10))


def counted(pipeline: Pipeline) -> dict[StuckCause, int]:
    with pipeline.database.read() as connection:
        return {cause: count for cause, count in count_stuck_plans(connection, pipeline.settings).items() if count}


def change(pipeline: Pipeline, job_id: UUID, **values: Any) -> None:
    with pipeline.database.write() as connection:
        connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(values))


def created(pipeline: Pipeline, kind: JobKind) -> tuple[UUID, UUID]:
    """Return a plan and its pending job of this kind."""
    if kind is JobKind.PHASE1:
        job_id = pipeline.approved()
    else:
        job_id = pipeline.analyses.request(
            title=None, channels=["amazon"], context=None, origin="analysis", by=APPROVER, request_id=None
        ).job_id
    return pipeline.job(job_id).plan_id, job_id


def lose_job(pipeline: Pipeline, job_id: UUID) -> None:
    with pipeline.database.write() as connection:
        connection.execute(delete(events).where(events.c.job_id == job_id))
        connection.execute(delete(jobs).where(jobs.c.job_id == job_id))


def run_since(pipeline: Pipeline, job_id: UUID, seconds: float, *, lease_seconds: float) -> None:
    """Make a job look as if somebody had run it for so long."""
    change(pipeline, job_id, status=JobStatus.ACTIVE, fence=1, lease_until_at=now_plus(lease_seconds))
    with pipeline.database.write() as connection:
        connection.execute(
            insert(attempts).values(
                job_id=job_id,
                fence=1,
                attempt_number=1,
                worker="w",
                started_at=now_plus(-seconds),
                outcome="running",
            )
        )


def fail_without_letter(pipeline: Pipeline, job_id: UUID) -> None:
    pipeline.bodies = dict.fromkeys(JobKind, raising(BadAnswerError("no JSON")))
    pipeline.executor = pipeline.another_executor("worker-1")
    pipeline.executor.run(job_id)
    with pipeline.database.write() as connection:
        connection.execute(delete(dead_letters))


#: What brings a job of each kind into a stage that lasts too long, beginning from one that waits for a worker.
CAUSES: dict[StuckCause, Callable[[Pipeline, UUID], object]] = {
    StuckCause.NO_JOB: lose_job,
    StuckCause.WAITING: lambda p, job: change(p, job, available_at=now_plus(-200)),
    StuckCause.RETRY_OVERDUE: lambda p, job: change(p, job, available_at=now_plus(-200), error_count=1),
    StuckCause.PAST_DEADLINE: lambda p, job: change(
        p, job, available_at=now_plus(-200), error_count=1, started_at=now_plus(-900), deadline_at=now_plus(-100)
    ),
    StuckCause.OVERRUN: lambda p, job: run_since(p, job, 200, lease_seconds=5),
    StuckCause.LEASE_EXPIRED: lambda p, job: run_since(p, job, 10, lease_seconds=-5),
    StuckCause.NOT_LATCHED: lambda p, job: p.executor.run(job),
    StuckCause.NO_DEAD_LETTER: fail_without_letter,
}


@pytest.mark.parametrize("kind", list(JobKind))
@pytest.mark.parametrize("cause", list(CAUSES))
def test_each_cause_is_found_in_each_stage(pipeline: Pipeline, kind: JobKind, cause: StuckCause) -> None:
    other, _ = created(pipeline, kind)
    plan_id, job_id = created(pipeline, kind)
    assert found(pipeline) == []
    CAUSES[cause](pipeline, job_id)
    (plan,) = found(pipeline)
    assert (plan.plan_id, plan.stage, plan.cause) == (plan_id, kind, cause)
    assert plan.job_id == (None if cause is StuckCause.NO_JOB else job_id)
    assert plan.age_seconds >= plan.limit_seconds
    assert counted(pipeline) == {cause: 1}
    assert other != plan_id


@pytest.mark.parametrize(("kind", "limit"), [(JobKind.PHASE1, 60), (JobKind.ANALYSIS, 120)], ids=["phase1", "analysis"])
def test_a_job_may_wait_for_a_worker_as_long_as_its_stage_allows(
    pipeline: Pipeline, kind: JobKind, limit: float
) -> None:
    _, job_id = created(pipeline, kind)
    change(pipeline, job_id, available_at=now_plus(5 - limit))
    assert found(pipeline) == []
    change(pipeline, job_id, available_at=now_plus(-1 - limit))
    assert [(plan.cause, plan.limit_seconds) for plan in found(pipeline)] == [(StuckCause.WAITING, limit)]


def test_a_retry_in_its_pause_is_not_stuck(pipeline: Pipeline) -> None:
    _, job_id = created(pipeline, JobKind.PHASE1)
    with pipeline.database.write() as connection:
        connection.execute(update(plans).values(approved_at=now_plus(-3600), created_at=now_plus(-3600)))
    change(pipeline, job_id, error_count=2, created_at=now_plus(-3600), available_at=now_plus(25))
    assert found(pipeline) == []


def test_a_run_within_its_attempt_and_its_lease_is_not_stuck(pipeline: Pipeline) -> None:
    _, job_id = created(pipeline, JobKind.PHASE1)
    run_since(pipeline, job_id, 20, lease_seconds=5)
    assert found(pipeline) == []


def test_a_job_that_has_waited_for_hours_before_its_first_start_is_not_past_its_deadline(pipeline: Pipeline) -> None:
    _, job_id = created(pipeline, JobKind.PHASE1)
    change(pipeline, job_id, available_at=now_plus(-9000), deadline_at=now_plus(-8000))
    assert [plan.cause for plan in found(pipeline)] == [StuckCause.WAITING]


def test_plans_that_came_to_their_end_are_not_stuck(pipeline: Pipeline) -> None:
    for kind in JobKind:
        _, job_id = created(pipeline, kind)
        pipeline.bodies[kind] = raising(BadAnswerError("no JSON"))
        pipeline.executor.run(job_id)
    plan_id, job_id = created(pipeline, JobKind.PHASE1)
    pipeline.executor.run(job_id)
    with pipeline.database.write() as connection:
        set_latch(connection, plan_id, job_id)
    assert found(pipeline) == []


def test_a_failed_job_that_another_follows_is_not_looked_at(pipeline: Pipeline) -> None:
    plan_id, job_id = created(pipeline, JobKind.PHASE1)
    pipeline.bodies[JobKind.PHASE1] = raising(BadAnswerError("no JSON"))
    pipeline.executor.run(job_id)
    pipeline.recovery.recover([plan_id], by=APPROVER, request_id=None)
    assert found(pipeline) == []


@pytest.mark.parametrize("kind", list(JobKind))
def test_what_waits_for_a_paused_queue_is_told_apart(pipeline: Pipeline, kind: JobKind) -> None:
    for each in JobKind:
        _, job_id = created(pipeline, each)
        change(pipeline, job_id, available_at=now_plus(-200))
    with pipeline.database.write() as connection:
        set_control(pipeline.database, connection, queue_control(kind), QueueState.PAUSED, actor="ana", reason="a look")
    (other,) = set(JobKind) - {kind}
    causes = {(plan.stage, plan.cause) for plan in found(pipeline)}
    assert causes == {(kind, StuckCause.QUEUE_PAUSED), (other, StuckCause.WAITING)}


def test_the_oldest_of_each_stage_are_listed_first(pipeline: Pipeline) -> None:
    by_age = {}
    for seconds in (300, 500, 400):
        plan_id, job_id = created(pipeline, JobKind.PHASE1)
        change(pipeline, job_id, available_at=now_plus(-seconds))
        by_age[seconds] = plan_id
    with pipeline.database.read() as connection:
        listed = stuck_plans(connection, pipeline.settings, limit=2)
    assert [plan.plan_id for plan in listed] == [by_age[500], by_age[400]]
    assert counted(pipeline) == {StuckCause.WAITING: 3}


def finish_many(connection: Connection, count: int) -> None:
    """Insert plans whose jobs have completed, so that the planner has something to avoid."""
    ids = [(uuid4(), uuid4()) for _ in range(count)]
    moments = {"created_at": now_plus(-9000), "approved_at": now_plus(-9000)}
    connection.execute(
        insert(plans).values(**moments),
        [
            {
                "id": plan_id,
                "title": "t",
                "status": PlanStatus.APPROVED,
                "origin": "import",
                "channels": [],
                "notes": [],
                "created_by": "x",
                "phase1_job_id": job_id,
            }
            for plan_id, job_id in ids
        ],
    )
    times = dict.fromkeys(("available_at", "next_dispatch_at", "deadline_at", "created_at"), now_plus(-9000))
    connection.execute(
        insert(jobs).values(**times),
        [
            {
                "id": uuid4(),
                "job_id": job_id,
                "plan_id": plan_id,
                "kind": JobKind.PHASE1,
                "status": JobStatus.COMPLETED,
                "timeout_seconds": 10,
                "timeout_reason": {},
            }
            for plan_id, job_id in ids
        ],
    )


def test_finished_jobs_are_not_read(pipeline: Pipeline) -> None:
    created(pipeline, JobKind.PHASE1)
    # Without ANALYZE, which nobody runs on SQLite.
    statements = [storage._list(pipeline.settings, (), 10), storage._count(pipeline.settings, ())]
    alone = [_read_by(pipeline, statement) for statement in statements]
    with pipeline.database.write() as connection:
        finish_many(connection, 2000)
    if pipeline.database.dialect == "postgresql":
        # As autovacuum does.
        with pipeline.database.write() as connection:
            connection.exec_driver_sql("ANALYZE")
    for statement, before in zip(statements, alone, strict=True):
        assert before > 0, "the reading was not seen"
        assert _read_by(pipeline, statement) <= before + 50


def _read_by(pipeline: Pipeline, statement: Select[*tuple[Any, ...]]) -> int:
    """Return how much a statement reads: rows, or on SQLite, which does not tell, instructions of its machine."""
    text = str(statement.compile(pipeline.database.engine, compile_kwargs={"literal_binds": True}))
    with pipeline.database.read() as connection:
        if pipeline.database.dialect == "sqlite":
            instructions = count()
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            driver.set_progress_handler(lambda: next(instructions) < 0, 1)
            connection.exec_driver_sql(text).all()
            driver.set_progress_handler(None, 0)
            return next(instructions)
        explained = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {text.replace('%', '%%')}").scalar_one()
        document = json.loads(explained) if isinstance(explained, str) else explained
        return sum(rows for _, rows in _steps(document[0]["Plan"]))


def _steps(node: dict[str, Any]) -> list[tuple[str, int]]:
    steps = []
    if "Relation Name" in node:
        name = f"{node['Node Type']} {node['Relation Name']} {node.get('Index Name', '')} {id(node)}"
        removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        steps.append((name, (node["Actual Rows"] + removed) * node["Actual Loops"]))
    for child in node.get("Plans", []):
        steps += _steps(child)
    return steps


def test_settings_are_part_of_the_statement(pipeline: Pipeline) -> None:
    _, job_id = created(pipeline, JobKind.PHASE1)
    change(pipeline, job_id, available_at=now_plus(-10))
    assert found(pipeline) == []
    pipeline.settings = JobSettings(stuck_after_seconds=5)
    assert [plan.cause for plan in found(pipeline)] == [StuckCause.WAITING]
