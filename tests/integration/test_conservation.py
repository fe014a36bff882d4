from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Delete, Update, delete, update

from app.domain.conservation import LossKind
from app.domain.errors import BadAnswerError, NetworkError
from app.domain.jobs import JobKind, JobStatus
from app.job_events import insert_announced_job
from app.job_execution import RunEnd
from app.storage import conservation
from app.storage.clock import now_plus
from app.storage.schema import dead_letters, events, jobs, plans, tasks
from app.storage.sweeps import reap
from app.storage.transitions import claim
from app.storage.waiting_jobs import MOST_COUNTED, count_waiting
from tests.api import Api
from tests.letters import archive_many
from tests.pipeline import Pipeline, raising
from tests.scrape import samples, value

PHASE1 = "phase1-tasks"


def losses(api: Api) -> dict[str, float]:
    """Return what is lost; kinds of which nothing is must be told as 0."""
    found = samples(api)
    counts = {str(loss): value(found, "marketplace_jobs_unaccounted", loss=loss) for loss in LossKind}
    return {loss: count for loss, count in counts.items() if count}


def equation(api: Api, queue: str = PHASE1) -> tuple[float, dict[str, float]]:
    """Return how many jobs were accepted, and where they are."""
    found = samples(api)
    states = {str(state): value(found, "marketplace_jobs_accounted", queue=queue, state=state) for state in JobStatus}
    return (
        value(found, "marketplace_jobs_accepted", queue=queue),
        {state: count for state, count in states.items() if count},
    )


def die(api: Api, job_id: UUID, *, crash_count: int = 0) -> None:
    """Let a process take a job and die; its lease is over at once."""
    with api.runtime.database.write() as connection:
        assert claim(connection, job_id, owner="dead", lease_seconds=-1, crash_count=crash_count) is not None
    assert equation(api)[1]["active"] == 1
    assert losses(api) == {}
    with api.runtime.database.write() as connection:
        reap(connection, crash_limit=1)


def test_nothing_is_lost_through_retries_crashes_dead_letters_and_quarantine(api: Api) -> None:
    run = api.runtime.executor.run
    _, smooth = api.approved()
    assert equation(api) == (1, {"pending": 1})
    assert run(smooth) is RunEnd.COMPLETED

    _, retried = api.approved()
    assert api.executor(raising(NetworkError("reset"))).run(retried) is RunEnd.RETRYING
    assert losses(api) == {}
    assert run(retried) is RunEnd.COMPLETED

    _, crashed = api.approved()
    die(api, crashed)
    # What a quarantine worker does: it knows that one process has died under the job.
    assert run(crashed, crash_count=1) is RunEnd.COMPLETED

    _, lethal = api.approved()
    die(api, lethal)
    die(api, lethal, crash_count=1)

    _, failed = api.approved()
    assert api.executor(raising(BadAnswerError("no JSON"))).run(failed) is RunEnd.FAILED
    assert equation(api) == (5, {"completed": 3, "failed": 2})
    assert losses(api) == {}

    answer = api.call("POST", f"/api/marketplace/dead-letters/{failed}/retry")
    assert equation(api) == (6, {"completed": 3, "failed": 2, "pending": 1})
    assert run(UUID(answer.get_json()["jobId"])) is RunEnd.COMPLETED
    api.call("DELETE", f"/api/marketplace/dead-letters/{lethal}?reason=a+test")
    api.call("POST", "/api/marketplace/analysis", json={"channels": ["amazon"]})

    assert equation(api) == (6, {"completed": 4, "failed": 2})
    assert equation(api, "analysis") == (1, {"pending": 1})
    assert losses(api) == {}


def run_to_its_end(api: Api) -> UUID:
    _, job_id = api.approved()
    assert api.runtime.executor.run(job_id) is RunEnd.COMPLETED
    return job_id


def failed(api: Api) -> UUID:
    _, job_id = api.approved()
    assert api.executor(raising(BadAnswerError("no JSON"))).run(job_id) is RunEnd.FAILED
    return job_id


def waiting(api: Api) -> UUID:
    return api.approved()[1]


DEFECTS: dict[str, tuple[Callable[[Api], UUID], Delete | Update, set[LossKind]]] = {
    "a job is deleted": (waiting, delete(jobs), {LossKind.JOB_MISSING, LossKind.PLAN_WITHOUT_JOB}),
    "a job comes from nowhere": (waiting, delete(events), {LossKind.NOT_ACCEPTED}),
    "a task is deleted": (run_to_its_end, delete(tasks).where(tasks.c.position == 1), {LossKind.TASKS_MISSING}),
    "all tasks are deleted": (run_to_its_end, delete(tasks), {LossKind.TASKS_MISSING}),
    "the latch comes before the tasks": (
        waiting,
        update(plans).values(phase1_job_id=jobs.c.job_id).where(jobs.c.plan_id == plans.c.id),
        {LossKind.TASKS_MISSING},
    ),
    "the latch is lost": (run_to_its_end, update(plans).values(phase1_job_id=None), {LossKind.PLAN_NOT_LATCHED}),
    "a dead letter is deleted": (failed, delete(dead_letters), {LossKind.NO_DEAD_LETTER}),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_told(api: Api, defect: str) -> None:
    bring_about, plant, expected = DEFECTS[defect]
    bring_about(api)
    assert losses(api) == {}
    with api.runtime.database.write() as connection:
        connection.execute(plant)
    assert losses(api) == dict.fromkeys(expected, 1)


def test_a_deleted_job_is_what_the_equation_lacks(api: Api) -> None:
    lost, _ = waiting(api), waiting(api)
    with api.runtime.database.write() as connection:
        connection.execute(delete(jobs).where(jobs.c.job_id == lost))
    assert equation(api) == (2, {"pending": 1})


def test_only_jobs_of_the_last_minutes_are_looked_at(api: Api) -> None:
    run_to_its_end(api)
    beyond = now_plus(-conservation.WINDOW_SECONDS - 1)
    with api.runtime.database.write() as connection:
        connection.execute(update(events).values(created_at=beyond))
        connection.execute(update(jobs).values(created_at=beyond))
        connection.execute(delete(tasks))
    assert equation(api) == (0, {})
    assert losses(api) == {}


def age_waiting(api: Api, *, seconds: float) -> None:
    """Make every job due so long from now."""
    with api.runtime.database.write() as connection:
        connection.execute(update(jobs).values(available_at=now_plus(seconds)))


def of_queue(api: Api, name: str, **labels: Any) -> float:
    return value(samples(api), f"marketplace_queue_{name}", queue=PHASE1, **labels)


def test_the_oldest_claimable_job_is_told_paused_or_not(api: Api) -> None:
    assert of_queue(api, "oldest_claimable_seconds") == 0
    plan_id, job_id = api.approved()
    api.approved()
    api.age(plan_id, seconds=100)
    assert 100 <= of_queue(api, "oldest_claimable_seconds") < 160
    assert value(samples(api), "marketplace_queue_oldest_claimable_seconds", queue="analysis") == 0
    api.call("POST", "/api/marketplace/queue/pause", json={"queue": PHASE1, "reason": "a test"})
    assert of_queue(api, "oldest_claimable_seconds") >= 100
    api.call("POST", "/api/marketplace/queue/resume", json={"queue": PHASE1, "reason": "a test"})
    assert api.runtime.executor.run(job_id) is RunEnd.COMPLETED
    assert of_queue(api, "oldest_claimable_seconds") < 100


def test_a_job_that_waits_for_its_next_attempt_is_not_claimable_but_coming(api: Api) -> None:
    api.approved()
    age_waiting(api, seconds=20)
    assert of_queue(api, "oldest_claimable_seconds") == 0
    assert [of_queue(api, "delayed_jobs", within=span) for span in ("1s", "5s", "30s")] == [0, 0, 1]
    age_waiting(api, seconds=3600)
    assert of_queue(api, "delayed_jobs", within="30s") == 0
    age_waiting(api, seconds=0)
    assert of_queue(api, "delayed_jobs", within="30s") == 0


def test_the_depth_that_each_new_job_finds_is_told(api: Api) -> None:
    for _ in range(3):
        api.approved()
    api.call("POST", "/api/marketplace/analysis", json={"channels": ["amazon"]})
    found = samples(api)
    assert value(found, "marketplace_queue_depth_at_enqueue_count", queue=PHASE1) == 3
    assert value(found, "marketplace_queue_depth_at_enqueue_sum", queue=PHASE1) == 0 + 1 + 2
    assert value(found, "marketplace_queue_depth_at_enqueue_bucket", queue=PHASE1, le="0.0") == 1
    assert value(found, "marketplace_queue_depth_at_enqueue_sum", queue="analysis") == 0
    assert value(found, "marketplace_jobs_enqueued_total", kind=JobKind.PHASE1) == 3
    assert value(found, "marketplace_jobs_enqueued_total", kind=JobKind.ANALYSIS) == 1


def test_every_way_to_a_new_job_is_counted(api: Api) -> None:
    letter = failed(api)
    api.call("POST", f"/api/marketplace/dead-letters/{letter}/retry")
    plan_id, lost = api.approved()
    with api.runtime.database.write() as connection:
        connection.execute(delete(jobs).where(jobs.c.job_id == lost))
    api.call("POST", "/api/marketplace/analysis/recover", json={"planIds": [str(plan_id)]})
    assert value(samples(api), "marketplace_jobs_enqueued_total", kind=JobKind.PHASE1) == 4


def test_a_job_that_is_not_committed_counts_for_nothing(pipeline: Pipeline) -> None:
    plan_id = pipeline.imported()

    def fail_after_insert(connection: Connection) -> None:
        insert_announced_job(
            pipeline.database,
            connection,
            pipeline.settings,
            pipeline.metrics,
            plan_id=plan_id,
            kind=JobKind.PHASE1,
            request_id=None,
        )
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), pipeline.database.write() as connection:
        fail_after_insert(connection)
    assert pipeline.value("marketplace_jobs_enqueued_total", kind=JobKind.PHASE1) == 0
    pipeline.approved()
    assert pipeline.value("marketplace_jobs_enqueued_total", kind=JobKind.PHASE1) == 1


def test_a_long_queue_is_not_counted_to_its_end(pipeline: Pipeline) -> None:
    archive_many(pipeline.database, MOST_COUNTED + 5)
    with pipeline.database.write() as connection:
        assert count_waiting(connection, JobKind.PHASE1) == 0
        connection.execute(update(jobs).values(status=JobStatus.PENDING))
        assert count_waiting(connection, JobKind.PHASE1) == MOST_COUNTED
        assert count_waiting(connection, JobKind.ANALYSIS) == 0
