from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from app.controls import QueueStatus
from app.domain.controls import Mode, QueueState
from app.domain.errors import NetworkError
from app.domain.jobs import QUEUES, JobKind, JobStatus
from app.domain.roles import Actor, Role
from app.job_execution import Finished, RunEnd
from app.job_runs import JobRun
from app.storage.clock import now_plus
from app.storage.controls import mode_of, runs_in_place
from app.storage.schema import audit_log, controls, jobs
from tests.pipeline import APPROVER, Pipeline, no_work, raising

ADMIN = Actor("olga", Role.ADMIN)
PHASE1 = QUEUES[JobKind.PHASE1]


def pause(pipeline: Pipeline, *kinds: JobKind, reason: str = "the agents are down") -> None:
    pipeline.controls.pause(kinds or tuple(JobKind), reason=reason, by=ADMIN, request_id=None)


def resume(pipeline: Pipeline, *kinds: JobKind) -> None:
    pipeline.controls.resume(kinds or tuple(JobKind), reason="the agents are back", by=ADMIN, request_id=None)


def drain(pipeline: Pipeline, *kinds: JobKind, reason: str = "roll back") -> None:
    pipeline.controls.drain(kinds or tuple(JobKind), reason=reason, by=ADMIN, request_id=None)


def drained(pipeline: Pipeline) -> None:
    """Let a drain that has begun come to its end."""
    begun_earlier(pipeline)
    pipeline.controls.finish_drains()


def no_room(pipeline: Pipeline) -> None:
    """Let nothing run in place: what is approved waits, although an operator wants it to run."""
    pipeline.in_place.stop(grace_seconds=0)


def begun_earlier(pipeline: Pipeline, *, milliseconds: int = 5000) -> None:
    """Make switches, and the jobs that they found, older than they are."""
    with pipeline.database.write() as connection:
        connection.exec_driver_sql(f"UPDATE marketplace_controls SET changed_at = changed_at - {milliseconds}")
        connection.exec_driver_sql(f"UPDATE marketplace_job_executions SET created_at = created_at - {milliseconds}")


def status(pipeline: Pipeline, kind: JobKind = JobKind.PHASE1) -> QueueStatus:
    (found,) = pipeline.controls.queues([kind])
    return found


def state(pipeline: Pipeline, kind: JobKind = JobKind.PHASE1) -> QueueState:
    return status(pipeline, kind).state


def in_place(pipeline: Pipeline, kind: JobKind = JobKind.PHASE1) -> bool:
    with pipeline.database.read() as connection:
        return runs_in_place(connection, kind)


def audited(pipeline: Pipeline) -> list[tuple[str, str, str, str | None]]:
    with pipeline.database.read() as connection:
        rows = connection.execute(
            select(audit_log).where(audit_log.c.actor == ADMIN.name).order_by(audit_log.c.at, audit_log.c.action)
        ).all()
    return [(row.action, row.target_type, row.target_id, row.reason) for row in rows]


def asked(pipeline: Pipeline) -> UUID:
    """Return the job of an analysis."""
    return pipeline.analyses.request(
        title=None, channels=["amazon"], context=None, origin="analysis", by=APPROVER, request_id=None
    ).job_id


def test_a_paused_queue_gives_no_job_to_anybody(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    pause(pipeline)
    assert pipeline.executor.run(job_id) is RunEnd.NOT_CLAIMED
    assert pipeline.job(job_id).status == JobStatus.PENDING
    assert pipeline.attempts(job_id) == []


def test_a_resumed_queue_gives_its_jobs_again(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    pause(pipeline)
    resume(pipeline)
    assert pipeline.executor.run(job_id) is RunEnd.COMPLETED


def test_a_pause_of_one_queue_leaves_the_other_alone(pipeline: Pipeline) -> None:
    approved, analysis = pipeline.approved(), asked(pipeline)
    pause(pipeline, JobKind.PHASE1)
    assert pipeline.executor.run(approved) is RunEnd.NOT_CLAIMED
    assert pipeline.executor.run(analysis) is RunEnd.COMPLETED


def test_what_runs_when_the_pause_comes_ends(pipeline: Pipeline) -> None:
    def body(run: JobRun) -> Finished:
        pause(pipeline)
        return no_work(run)

    pipeline.bodies[JobKind.PHASE1] = body
    job_id = pipeline.approved()
    assert pipeline.executor.run(job_id) is RunEnd.COMPLETED
    assert (state(pipeline), status(pipeline).load.active) == (QueueState.PAUSED, 0)


def test_a_run_in_place_passes_the_pause(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    pause(pipeline)
    assert pipeline.executor.run(job_id, even_if_paused=True) is RunEnd.COMPLETED


def test_no_hints_are_sent_for_a_paused_queue_and_all_are_due_when_it_is_resumed(pipeline: Pipeline) -> None:
    pipeline.sweeper.dispatch()
    waiting = {pipeline.approved() for _ in range(3)}
    pause(pipeline)
    # As workers do with the hints that the approvals have sent.
    pipeline.redis.delete(f"{pipeline.hints._namespace}:{PHASE1}")
    pipeline.sweeper.dispatch()
    assert pipeline.hints.waiting(PHASE1) == 0
    resume(pipeline)
    assert pipeline.sweeper.dispatch() == len(waiting)


@pytest.mark.parametrize("failures", [0, 1], ids=["never_started", "failed_once"])
def test_a_job_that_waited_in_a_paused_queue_has_its_whole_time_again(pipeline: Pipeline, failures: int) -> None:
    pipeline.bodies[JobKind.PHASE1] = raising(*[NetworkError("reset")] * (failures + 1))
    job_id = pipeline.approved()
    for _ in range(failures):
        assert pipeline.executor.run(job_id) is RunEnd.RETRYING
    pause(pipeline)
    with pipeline.database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE marketplace_job_executions SET created_at = created_at - 900000, deadline_at = deadline_at - 900000"
        )
    resume(pipeline)
    assert pipeline.executor.run(job_id) is RunEnd.RETRYING
    left = pipeline.job(job_id).deadline_at - datetime.now(UTC)
    assert 60 < left.total_seconds() <= pipeline.settings.phase1_total_seconds
    assert pipeline.executor.run(job_id) is RunEnd.COMPLETED


def test_resuming_a_queue_that_runs_gives_no_time_away(pipeline: Pipeline) -> None:
    pipeline.bodies[JobKind.PHASE1] = raising(NetworkError("reset"))
    job_id = pipeline.approved()
    pipeline.executor.run(job_id)
    before = pipeline.job(job_id).deadline_at
    begun_earlier(pipeline)
    resume(pipeline)
    assert pipeline.job(job_id).deadline_at == before


def test_a_draining_queue_gives_its_jobs_and_is_drained_when_they_have_ended(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    drain(pipeline, JobKind.PHASE1)
    begun_earlier(pipeline)
    assert (pipeline.controls.finish_drains(), status(pipeline).left) == (0, 1)
    assert pipeline.executor.run(job_id) is RunEnd.COMPLETED
    assert pipeline.controls.finish_drains() == 1
    assert (state(pipeline), status(pipeline).left) == (QueueState.DRAINED, None)


def test_a_drained_queue_gives_no_job_to_anybody(pipeline: Pipeline) -> None:
    drain(pipeline)
    drained(pipeline)
    job_id = asked(pipeline)
    assert pipeline.executor.run(job_id) is RunEnd.NOT_CLAIMED
    assert pipeline.job(job_id).status == JobStatus.PENDING


def test_a_job_that_waits_for_its_retry_keeps_a_drain_open(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    drain(pipeline, JobKind.PHASE1)
    with pipeline.database.write() as connection:
        connection.execute(update(jobs).values(available_at=now_plus(30)))
    drained(pipeline)
    found = status(pipeline)
    assert (found.state, found.left, found.load.due, found.load.delayed) == (QueueState.DRAINING, 1, 0, 1)
    assert found.load.next_due_at == pipeline.job(job_id).available_at


def test_a_drain_does_not_wait_for_jobs_that_come_after_it(pipeline: Pipeline) -> None:
    before = asked(pipeline)
    drain(pipeline)
    begun_earlier(pipeline)
    after = asked(pipeline)
    assert status(pipeline, JobKind.ANALYSIS).left == 1
    assert pipeline.executor.run(before) is RunEnd.COMPLETED
    pipeline.controls.finish_drains()
    assert state(pipeline, JobKind.ANALYSIS) is QueueState.DRAINED
    assert pipeline.job(after).status == JobStatus.PENDING


def test_a_job_whose_request_was_under_way_when_the_drain_began_belongs_to_it(pipeline: Pipeline) -> None:
    drain(pipeline)
    # However slow this machine is, the moment in which such requests count is not over.
    begun_earlier(pipeline, milliseconds=-60_000)
    assert pipeline.controls.finish_drains() == 0
    asked(pipeline)
    assert status(pipeline, JobKind.ANALYSIS).left == 1


def test_a_paused_queue_that_is_drained_gets_its_hints_at_once(pipeline: Pipeline) -> None:
    pipeline.sweeper.dispatch()
    pipeline.approved()
    pause(pipeline)
    drain(pipeline)
    assert pipeline.sweeper.dispatch() == 1


def test_draining_again_does_not_begin_again_but_notes_the_end(pipeline: Pipeline) -> None:
    drain(pipeline, reason="first")
    begun_earlier(pipeline)
    drain(pipeline, reason="second")
    assert (state(pipeline), status(pipeline).control.reason) == (QueueState.DRAINED, "first")


def test_a_drained_queue_that_jobs_have_come_to_can_be_drained_again(pipeline: Pipeline) -> None:
    no_room(pipeline)
    drain(pipeline)
    drained(pipeline)
    drain(pipeline)
    assert state(pipeline, JobKind.ANALYSIS) is QueueState.DRAINED
    job_id = asked(pipeline)
    drain(pipeline)
    assert state(pipeline, JobKind.ANALYSIS) is QueueState.DRAINING
    assert pipeline.executor.run(job_id) is RunEnd.COMPLETED


@pytest.mark.parametrize("switch", [pause, resume], ids=["paused", "resumed"])
def test_a_drain_that_somebody_else_has_ended_does_not_come_back(
    pipeline: Pipeline, switch: Callable[[Pipeline], None]
) -> None:
    drain(pipeline)
    switch(pipeline)
    switched = state(pipeline)
    drained(pipeline)
    assert state(pipeline) is switched is not QueueState.DRAINED


def test_phase_1_jobs_run_in_place_in_sync_mode_and_while_their_queue_is_emptied(pipeline: Pipeline) -> None:
    assert not in_place(pipeline)
    pause(pipeline)
    assert not in_place(pipeline)
    drain(pipeline)
    assert in_place(pipeline)
    drained(pipeline)
    assert in_place(pipeline)
    resume(pipeline)
    assert not in_place(pipeline)
    pipeline.controls.set_mode(Mode.SYNC, reason="roll back", by=ADMIN, request_id=None)
    assert in_place(pipeline)


def test_an_analysis_never_runs_in_place(pipeline: Pipeline) -> None:
    pipeline.controls.set_mode(Mode.SYNC, reason="roll back", by=ADMIN, request_id=None)
    drain(pipeline)
    assert not in_place(pipeline, JobKind.ANALYSIS)


def test_a_switch_is_turned_once_and_its_first_reason_stays(pipeline: Pipeline) -> None:
    pause(pipeline, JobKind.PHASE1, reason="first")
    pause(pipeline, JobKind.PHASE1, reason="second")
    control = status(pipeline).control
    assert (control.value, control.reason, control.changed_by) == ("paused", "first", "olga")
    assert audited(pipeline) == [("queue.pause", "queue", PHASE1, "first")]


def test_turning_a_switch_to_where_it_always_stood_writes_nothing(pipeline: Pipeline) -> None:
    resume(pipeline)
    pipeline.controls.set_mode(Mode.QUEUE, reason="why not", by=ADMIN, request_id=None)
    assert audited(pipeline) == []
    assert pipeline.controls.mode().changed_by is None


def test_every_turn_is_audited(pipeline: Pipeline) -> None:
    pipeline.controls.set_mode(Mode.SYNC, reason="roll back", by=ADMIN, request_id="r-1")
    drain(pipeline, JobKind.PHASE1)
    drained(pipeline)
    pause(pipeline, JobKind.PHASE1)
    resume(pipeline, JobKind.PHASE1)
    assert sorted(audited(pipeline)) == [
        ("mode.change", "mode", "sync", "roll back"),
        ("queue.drain", "queue", PHASE1, "roll back"),
        ("queue.pause", "queue", PHASE1, "the agents are down"),
        ("queue.resume", "queue", PHASE1, "the agents are back"),
    ]


def test_of_many_who_turn_a_switch_at_once_one_does(pipeline: Pipeline) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: pause(pipeline, JobKind.PHASE1), range(8)))
    assert len(audited(pipeline)) == 1


def test_the_mode_is_that_of_all_processes(pipeline: Pipeline) -> None:
    pipeline.controls.set_mode(Mode.SYNC, reason="roll back", by=ADMIN, request_id=None)
    with pipeline.database.read() as connection:
        assert mode_of(connection) is Mode.SYNC
        assert connection.scalar(select(func.count()).select_from(controls)) == 1
