from __future__ import annotations

import threading
import time
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, insert, update

from app.domain.jobs import QUARANTINE_QUEUES, QUEUES, JobKind, JobMessage, JobStatus
from app.domain.processes import ProcessRole
from app.job_execution import Finished, RunEnd
from app.job_queue.hint_messages import read_hint
from app.job_runs import JobRun
from app.settings import JobSettings, WorkerSettings
from app.storage.clock import now_plus
from app.storage.processes import is_running
from app.storage.schema import jobs, processes
from tests.pipeline import APPROVER, Pipeline
from tests.servers import wait_until
from tests.workers import ends, working
from worker.pool import quarantine_groups

USUAL, QUARANTINE = QUEUES[JobKind.PHASE1], QUARANTINE_QUEUES[JobKind.PHASE1]


@pytest.fixture
def pipeline(pipeline: Pipeline) -> Pipeline:
    # The first tick finds Redis new, and makes every hint due.
    pipeline.sweeper.dispatch()
    return pipeline


def show(pipeline: Pipeline, role: ProcessRole = ProcessRole.QUARANTINE, *, seconds_ago: float = 0.0) -> None:
    with pipeline.database.write() as connection:
        connection.execute(
            insert(processes).values(
                owner=str(uuid4()), role=role, started_at=now_plus(-3600), seen_at=now_plus(-seconds_ago)
            )
        )


def crash(pipeline: Pipeline, *job_ids: UUID, count: int = 1) -> None:
    """Make these jobs look as if so many processes had died under them, and be due."""
    with pipeline.database.write() as connection:
        connection.execute(
            update(jobs).where(jobs.c.job_id.in_(job_ids)).values(crash_count=count, next_dispatch_at=now_plus(-1))
        )


def requested_analysis(pipeline: Pipeline) -> UUID:
    return pipeline.analyses.request(
        title=None, channels=["amazon"], context=None, origin="analysis", by=APPROVER, request_id=None
    ).job_id


def taken(pipeline: Pipeline, queue: str) -> list[object]:
    return [read_hint(delivery.body) for delivery in pipeline.hints.take([queue], limit=99, wait_seconds=0.1)]


def test_a_job_that_crashed_is_claimed_only_by_who_asks_for_it(pipeline: Pipeline) -> None:
    crashed, usual = pipeline.approved(), pipeline.approved()
    crash(pipeline, crashed)
    assert pipeline.executor.run(crashed) is RunEnd.NOT_CLAIMED
    assert pipeline.executor.run(usual, crash_count=1) is RunEnd.NOT_CLAIMED
    assert pipeline.executor.run(crashed, crash_count=2) is RunEnd.NOT_CLAIMED
    assert pipeline.executor.run(crashed, crash_count=1) is RunEnd.COMPLETED
    assert pipeline.executor.run(usual) is RunEnd.COMPLETED


def test_jobs_that_crashed_go_to_the_quarantine_worker(pipeline: Pipeline) -> None:
    show(pipeline)
    crashed, usual = pipeline.approved(), pipeline.approved()
    taken(pipeline, USUAL)
    crash(pipeline, crashed)
    with pipeline.database.write() as connection:
        connection.execute(update(jobs).where(jobs.c.job_id == usual).values(next_dispatch_at=now_plus(-1)))
    assert pipeline.sweeper.dispatch() == 2
    assert taken(pipeline, QUARANTINE) == [JobMessage(job_id=crashed, crash_count=1)]
    assert taken(pipeline, USUAL) == [JobMessage(job_id=usual)]


def test_each_kind_has_its_quarantine_queue(pipeline: Pipeline) -> None:
    show(pipeline)
    job_id = requested_analysis(pipeline)
    crash(pipeline, job_id)
    pipeline.sweeper.dispatch()
    assert taken(pipeline, "analysis-quarantine") == [JobMessage(job_id=job_id, crash_count=1)]


@pytest.mark.parametrize(
    ("role", "seconds_ago"),
    [(ProcessRole.WORKER, 0), (ProcessRole.QUARANTINE, 3600)],
    ids=["usual workers only", "seen long ago"],
)
def test_without_a_quarantine_worker_any_worker_runs_them(
    role: ProcessRole, seconds_ago: float, pipeline: Pipeline
) -> None:
    show(pipeline, role, seconds_ago=seconds_ago)
    job_id = pipeline.approved()
    taken(pipeline, USUAL)
    crash(pipeline, job_id)
    pipeline.sweeper.dispatch()
    with working(pipeline):
        ends(pipeline, job_id)


def test_a_quarantine_worker_that_has_just_died_is_waited_for(pipeline: Pipeline) -> None:
    show(pipeline)
    pipeline.sweeper.dispatch()
    with pipeline.database.write() as connection:
        connection.execute(delete(processes))
    crash(pipeline, pipeline.approved())
    taken(pipeline, USUAL)
    pipeline.sweeper.dispatch()
    assert (pipeline.hints.waiting(QUARANTINE), pipeline.hints.waiting(USUAL)) == (1, 0)


def test_a_quarantine_worker_that_stays_away_is_not_waited_for(pipeline: Pipeline) -> None:
    pipeline.sweeper._settings = JobSettings(quarantine_wait_seconds=0.2)
    show(pipeline)
    pipeline.sweeper.dispatch()
    with pipeline.database.write() as connection:
        connection.execute(delete(processes))
    job_id = pipeline.approved()
    taken(pipeline, USUAL)

    def waits_in_the_usual_queue() -> bool:
        crash(pipeline, job_id)
        pipeline.sweeper.dispatch()
        return pipeline.hints.waiting(USUAL) > 0

    wait_until(waits_in_the_usual_queue, what="a hint in the usual queue")
    assert JobMessage(job_id=job_id, crash_count=1) in taken(pipeline, USUAL)


def test_a_first_hint_that_is_late_does_not_run_a_job_that_has_crashed_since(pipeline: Pipeline) -> None:
    show(pipeline)
    job_id = pipeline.approved()
    crash(pipeline, job_id)
    with working(pipeline):
        ends(pipeline, pipeline.approved())
        wait_until(lambda: pipeline.hints.waiting(USUAL) == 0, what="the late hint to be taken")
    assert pipeline.job(job_id).status == JobStatus.PENDING
    pipeline.sweeper.dispatch()
    with working(pipeline, quarantine_groups(WorkerSettings()), owner="quarantine-1"):
        ends(pipeline, job_id)
    assert pipeline.attempts(job_id)[0].worker == "quarantine-1"


def test_a_quarantine_worker_runs_no_job_that_has_not_crashed(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    pipeline.hints.send(QUARANTINE, job_id)
    crashed = pipeline.approved()
    crash(pipeline, crashed)
    pipeline.hints.send(QUARANTINE, crashed, crash_count=1)
    with working(pipeline, quarantine_groups(WorkerSettings())):
        ends(pipeline, crashed)
    assert pipeline.job(job_id).status == JobStatus.PENDING


def test_jobs_that_one_process_died_under_run_side_by_side(pipeline: Pipeline) -> None:
    all_run = threading.Barrier(4)

    def body(_run: JobRun) -> Finished:
        all_run.wait(30)
        return Finished(lambda _connection: {})

    pipeline.bodies = dict.fromkeys(JobKind, body)
    show(pipeline)
    job_ids = [*(pipeline.approved() for _ in range(2)), *(requested_analysis(pipeline) for _ in range(2))]
    crash(pipeline, *job_ids)
    pipeline.sweeper.dispatch()
    with working(pipeline, quarantine_groups(WorkerSettings())):
        for job_id in job_ids:
            ends(pipeline, job_id)


def test_a_job_that_two_processes_died_under_runs_alone(pipeline: Pipeline) -> None:
    running: set[UUID] = set()
    company: dict[UUID, set[UUID]] = {}

    def body(run: JobRun) -> Finished:
        running.add(run.claim.job_id)
        # Long enough for the others to begin, if they may.
        time.sleep(0.2)
        company[run.claim.job_id] = set(running)
        running.remove(run.claim.job_id)
        return Finished(lambda _connection: {})

    pipeline.bodies = dict.fromkeys(JobKind, body)
    show(pipeline)
    once, twice = [pipeline.approved() for _ in range(4)], [pipeline.approved(), requested_analysis(pipeline)]
    crash(pipeline, *once)
    crash(pipeline, *twice, count=2)
    pipeline.sweeper.dispatch()
    with working(pipeline, quarantine_groups(WorkerSettings())):
        for job_id in (*once, *twice):
            ends(pipeline, job_id)
    assert [company[job_id] for job_id in twice] == [{job_id} for job_id in twice]
    assert all(company[job_id].isdisjoint(twice) for job_id in once)


def test_a_quarantine_worker_that_stops_begins_with_no_job_that_waits_to_be_alone(pipeline: Pipeline) -> None:
    began, go_on = threading.Event(), threading.Event()

    def body(_run: JobRun) -> Finished:
        began.set()
        assert go_on.wait(30)
        return Finished(lambda _connection: {})

    pipeline.bodies = dict.fromkeys(JobKind, body)
    show(pipeline)
    job_ids = {pipeline.approved(), pipeline.approved()}
    crash(pipeline, *job_ids, count=2)
    pipeline.sweeper.dispatch()
    with working(pipeline, quarantine_groups(WorkerSettings())) as pool:
        assert began.wait(30)
        wait_until(lambda: pipeline.hints.waiting(QUARANTINE) == 0, what="the second hint to be taken")
        stopping = threading.Thread(target=pool.stop, kwargs={"grace_seconds": 20})
        stopping.start()
        wait_until(lambda: pool._running[0].isolation._closed, what="the pool to stop")
        go_on.set()
        stopping.join(30)
    statuses = sorted(pipeline.job(job_id).status for job_id in job_ids)
    assert statuses == [JobStatus.COMPLETED, JobStatus.PENDING]


def test_a_backlog_does_not_keep_jobs_that_crashed_waiting(pipeline: Pipeline) -> None:
    pipeline.sweeper._settings = JobSettings(window=2)
    job_ids = [pipeline.approved() for _ in range(4)]
    taken(pipeline, USUAL)
    with pipeline.database.write() as connection:
        connection.execute(update(jobs).values(next_dispatch_at=now_plus(-60)))
    crash(pipeline, job_ids[3])
    pipeline.sweeper.dispatch()
    assert JobMessage(job_id=job_ids[3], crash_count=1) in taken(pipeline, USUAL)


def test_a_process_runs_while_it_shows_itself(pipeline: Pipeline) -> None:
    show(pipeline, seconds_ago=10)
    with pipeline.database.read() as connection:
        assert is_running(connection, ProcessRole.QUARANTINE, within_seconds=15)
        assert not is_running(connection, ProcessRole.QUARANTINE, within_seconds=5)
        assert not is_running(connection, ProcessRole.WORKER, within_seconds=15)
