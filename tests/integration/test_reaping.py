from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import insert, select, update

from app.domain.alerts import REDIS_DOWN
from app.domain.errors import DatabaseUnavailableError
from app.domain.jobs import JobKind, JobStatus, PlanStatus
from app.domain.processes import ProcessRole
from app.job_execution import RunEnd
from app.reaping import reap_dead
from app.settings import DatabaseSettings
from app.storage import sweeps
from app.storage.clock import now_plus
from app.storage.database import Database
from app.storage.deliveries import claim_deliveries, end_delivery
from app.storage.notice_deliveries import claim_notices
from app.storage.notices import tell_firing
from app.storage.processes import seen_processes, show_process
from app.storage.schema import deliveries, jobs, subscription_events, subscriptions
from app.storage.transitions import claim
from tests.pipeline import APPROVER, Pipeline

DEAD = "worker@host:1:dead"
LIVING = "worker@host:2:alive"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a directory of presence files in which one process has died."""
    directory = tmp_path / "processes"
    directory.mkdir()
    (directory / f"{DEAD}.lock").touch()
    return directory


def claimed(pipeline: Pipeline, owner: str, job_id: UUID | None = None) -> UUID:
    """Return a job that this owner runs, with its lease just begun."""
    job_id = job_id or pipeline.approved()
    with pipeline.database.write() as connection:
        assert claim(connection, job_id, owner=owner, lease_seconds=60) is not None
    return job_id


def reaped(pipeline: Pipeline, directory: Path) -> int:
    return reap_dead(pipeline.database, pipeline.metrics, directory, crash_limit=3)


def test_what_a_dead_process_ran_is_due_at_once_and_its_old_run_is_shut_out(
    pipeline: Pipeline, directory: Path
) -> None:
    job_id = claimed(pipeline, DEAD)
    assert reaped(pipeline, directory) == 1
    row = pipeline.job(job_id)
    assert (row.status, row.fence, row.crash_count, row.error_count) == (JobStatus.PENDING, 2, 1, 0)
    [attempt] = pipeline.attempts(job_id)
    assert (attempt.outcome, attempt.error_code) == ("lost", "process_died")
    assert pipeline.value("marketplace_leases_reaped_total", kind="phase1", cause="process_died") == 1
    assert pipeline.sweeper.dispatch() == 1
    assert pipeline.executor.run(job_id, crash_count=1) == RunEnd.COMPLETED


def test_what_others_run_is_left_alone(pipeline: Pipeline, directory: Path) -> None:
    job_id = claimed(pipeline, LIVING)
    assert reaped(pipeline, directory) == 0
    assert pipeline.job(job_id).status == JobStatus.ACTIVE


def test_a_second_look_changes_nothing(pipeline: Pipeline, directory: Path) -> None:
    job_id = claimed(pipeline, DEAD)
    reaped(pipeline, directory)
    (directory / f"{DEAD}.lock").touch()
    assert reaped(pipeline, directory) == 0
    assert (pipeline.job(job_id).fence, pipeline.job(job_id).crash_count) == (2, 1)


def test_without_the_database_the_dead_are_found_again(
    pipeline: Pipeline, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = claimed(pipeline, DEAD)

    def away(*_args: object, **_options: object) -> None:
        raise DatabaseUnavailableError("sqlite: locked")

    with monkeypatch.context() as patch:
        patch.setattr(sweeps, "give_back", away)
        with pytest.raises(DatabaseUnavailableError):
            reaped(pipeline, directory)
    assert pipeline.job(job_id).status == JobStatus.ACTIVE
    assert reaped(pipeline, directory) == 1


def test_a_job_whose_processes_die_too_often_becomes_a_dead_letter(pipeline: Pipeline, directory: Path) -> None:
    job_id = claimed(pipeline, DEAD)
    with pipeline.database.write() as connection:
        connection.execute(update(jobs).values(crash_count=3))
    reaped(pipeline, directory)
    letter = pipeline.dead_letter(job_id)
    assert letter is not None
    assert (letter.reason, letter.history[0]["errorCode"]) == ("crash_limit", "process_died")
    assert "job:failed" in pipeline.events(job_id)


def test_an_analysis_whose_processes_die_too_often_marks_its_plan(pipeline: Pipeline, directory: Path) -> None:
    requested = pipeline.analyses.request(
        title=None, channels=["amazon"], context=None, origin="analysis", by=APPROVER, request_id=None
    )
    claimed(pipeline, DEAD, requested.job_id)
    with pipeline.database.write() as connection:
        connection.execute(update(jobs).values(crash_count=3))
    reaped(pipeline, directory)
    assert pipeline.plan(requested.plan_id).status == PlanStatus.ANALYSIS_FAILED


def test_hints_that_the_dead_process_may_have_fetched_are_sent_again(pipeline: Pipeline, directory: Path) -> None:
    pipeline.sweeper.dispatch()
    pipeline.approved()
    assert pipeline.sweeper.dispatch() == 0
    reaped(pipeline, directory)
    assert pipeline.sweeper.dispatch() == 1


def test_a_pause_before_a_retry_is_kept(pipeline: Pipeline, directory: Path) -> None:
    job_id = pipeline.approved()
    with pipeline.database.write() as connection:
        connection.execute(update(jobs).values(available_at=now_plus(30), next_dispatch_at=now_plus(30)))
    reaped(pipeline, directory)
    row = pipeline.job(job_id)
    assert (row.next_dispatch_at - row.created_at).total_seconds() > 20


def test_notices_of_a_dead_process_are_due_at_once(database_url: str, pipeline: Pipeline, directory: Path) -> None:
    telling = Database(DatabaseSettings(url=SecretStr(database_url)), notices_of="test")
    with telling.write() as connection:
        tell_firing(connection, UUID(int=1), REDIS_DOWN, {}, summary="away", action="none")
        assert len(claim_notices(connection, owner=DEAD, lease_seconds=60, limit=5)) == 1
    reaped(pipeline, directory)
    with telling.write() as connection:
        assert len(claim_notices(connection, owner=LIVING, lease_seconds=60, limit=5)) == 1
    telling.close()


def test_deliveries_of_a_dead_process_are_due_at_once_and_its_late_word_does_not_count(
    pipeline: Pipeline, directory: Path
) -> None:
    subscription = UUID(int=1)
    with pipeline.database.write() as connection:
        connection.execute(
            insert(subscriptions).values(
                id=subscription, url="https://example.com/", secret="whsec_x", created_at=now_plus(), created_by="ana"
            )
        )
        connection.execute(insert(subscription_events).values(subscription_id=subscription, event_type="job:enqueued"))
    pipeline.approved()
    with pipeline.database.write() as connection:
        [late] = claim_deliveries(connection, owner=DEAD, lease_seconds=60, limit=5)
        assert claim_deliveries(connection, owner=LIVING, lease_seconds=60, limit=5) == []
    reaped(pipeline, directory)
    with pipeline.database.write() as connection:
        assert end_delivery(connection, late, error=None, retry_in_seconds=None) is False
        [again] = claim_deliveries(connection, owner=LIVING, lease_seconds=60, limit=5)
        assert (again.delivery_id, again.attempt) == (late.delivery_id, 2)
        assert connection.scalar(select(deliveries.c.lease_owner)) == LIVING


def test_the_row_of_a_dead_process_is_removed(pipeline: Pipeline, directory: Path) -> None:
    with pipeline.database.write() as connection:
        for owner in (DEAD, LIVING):
            show_process(pipeline.database, connection, owner, ProcessRole.WORKER)
    reaped(pipeline, directory)
    with pipeline.database.read() as connection:
        assert [process.owner for process in seen_processes(connection, within_seconds=60, limit=9)] == [LIVING]


def test_both_kinds_of_job_are_given_back(pipeline: Pipeline, directory: Path) -> None:
    claimed(pipeline, DEAD)
    requested = pipeline.analyses.request(
        title=None, channels=["amazon"], context=None, origin="analysis", by=APPROVER, request_id=None
    )
    claimed(pipeline, DEAD, requested.job_id)
    assert reaped(pipeline, directory) == 2
    for kind in JobKind:
        assert pipeline.value("marketplace_leases_reaped_total", kind=kind, cause="process_died") == 1
