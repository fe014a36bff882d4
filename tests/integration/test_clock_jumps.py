"""The database's clock is set by an hour while jobs run, wait and retry: nothing is lost, nothing waits an hour."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select, type_coerce, update
from sqlalchemy.types import BigInteger
from structlog.testing import capture_logs

from app.domain.errors import NetworkError
from app.domain.jobs import EventType, JobKind, JobStatus
from app.job_execution import Finished, RunEnd
from app.job_runs import JobRun
from app.live_metrics import LiveMetrics
from app.settings import DatabaseSettings, JobSettings
from app.storage.clock import database_now, now_plus
from app.storage.database import Database
from app.storage.schema import deliveries, jobs, plans
from app.webhooks import Webhooks
from tests.pipeline import APPROVER, Pipeline, no_work, raising
from worker.clock_watch import ClockWatch
from worker.sweeper import Sweeper

HOUR = 3600.0


@dataclass
class Clocks:
    """The wall clock that the database shows, and the monotonic one of the sweepers."""

    set_by: float = 0.0
    stopped_for: float = 0.0
    #: Added to the monotonic clock at each further reading: the process is stopped between two of them.
    pauses: list[float] = field(default_factory=list)

    def wall_milliseconds(self) -> int:
        return round((time.time() + self.set_by) * 1000)

    def monotonic(self) -> float:
        self.stopped_for += self.pauses.pop(0) if self.pauses else 0.0
        return time.monotonic() + self.stopped_for


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def house(sqlite_template: Path, redis_url: str, tmp_path: Path, clocks: Clocks) -> Iterator[Pipeline]:
    """Return the pipeline with a sweeper that has looked at the clock once, on a database whose clock can be set."""
    path = tmp_path / "marketplace.db"
    shutil.copyfile(sqlite_template, path)
    settings = DatabaseSettings(url=SecretStr(f"sqlite:///{path}"))
    database = Database(settings, clock=clocks.wall_milliseconds)
    pipeline = Pipeline(database, redis_url)
    pipeline.sweeper = another_sweeper(pipeline, clocks)
    pipeline.sweeper.dispatch()
    yield pipeline
    pipeline.close()
    database.close()


def another_sweeper(house: Pipeline, clocks: Clocks) -> Sweeper:
    sweeper = Sweeper(
        house.database, house.hints, house.recovery, house.settings, house.metrics, monotonic=clocks.monotonic
    )
    sweeper.reap()
    return sweeper


def sweep(house: Pipeline) -> None:
    """Do every chore of the scheduler once, in its order."""
    house.sweeper.reap()
    house.sweeper.dispatch()


BOTH_WAYS = pytest.mark.parametrize("hours", [-1, 1], ids=["backward", "forward"])


@BOTH_WAYS
def test_a_running_job_is_not_taken_back(house: Pipeline, clocks: Clocks, hours: int) -> None:
    job_id = house.approved()
    seen = []

    def body(run: JobRun) -> Finished:
        clocks.set_by += hours * HOUR
        for _ in range(3):
            sweep(house)
            house.heartbeat.beat_once()
        seen.append(house.job(job_id))
        run.advance(50)
        return no_work(run)

    house.bodies[JobKind.PHASE1] = body
    assert house.executor.run(job_id) is RunEnd.COMPLETED
    (row,) = seen
    assert (row.status, row.crash_count) == (JobStatus.ACTIVE, 0)


@BOTH_WAYS
def test_the_job_of_a_dead_worker_is_taken_back_one_lease_later(house: Pipeline, clocks: Clocks, hours: int) -> None:
    job_id = house.approved()
    with house.database.write() as connection:
        connection.execute(update(jobs).values(status=JobStatus.ACTIVE, lease_until_at=now_plus(12), fence=1))
    clocks.set_by += hours * HOUR
    assert house.sweeper.reap() == 0
    clocks.set_by += 13
    clocks.stopped_for += 13
    assert house.sweeper.reap() == 1
    assert house.job(job_id).status == JobStatus.PENDING


@BOTH_WAYS
def test_a_job_that_waits_is_run_at_once(house: Pipeline, clocks: Clocks, hours: int) -> None:
    job_id = house.approved()
    clocks.set_by += hours * HOUR
    sweep(house)
    assert house.executor.run(job_id) is RunEnd.COMPLETED


@BOTH_WAYS
def test_a_retry_does_not_wait_an_hour_and_keeps_its_time(house: Pipeline, clocks: Clocks, hours: int) -> None:
    job_id = house.approved()
    house.bodies[JobKind.PHASE1] = raising(NetworkError("reset"), NetworkError("reset"))
    assert house.executor.run(job_id) is RunEnd.RETRYING
    clocks.set_by += hours * HOUR
    sweep(house)
    # With its total time over, this failure would be the last one.
    assert house.executor.run(job_id) is RunEnd.RETRYING
    assert house.dead_letter(job_id) is None


def test_a_lost_hint_does_not_wait_for_the_old_hour(house: Pipeline, clocks: Clocks) -> None:
    house.approved()
    house.redis.delete(f"{house.hints._namespace}:phase1-tasks")
    clocks.set_by -= HOUR
    house.sweeper.reap()
    assert house.sweeper.dispatch() == 1


def test_hours_that_were_skipped_count_as_no_waiting(house: Pipeline, clocks: Clocks) -> None:
    house.approved()
    clocks.set_by += 48 * HOUR
    sweep(house)
    assert house.watch.look() == []


def test_an_event_not_yet_sent_does_not_wait_for_the_old_hour(house: Pipeline, clocks: Clocks) -> None:
    webhooks = Webhooks(house.database, lambda _url: None)
    webhooks.subscribe("https://example.com/", [EventType.ENQUEUED], by=APPROVER, request_id=None)
    house.approved()
    clocks.set_by -= HOUR
    house.sweeper.reap()
    with house.database.read() as connection:
        now = database_now(connection)
        assert connection.scalars(select(deliveries.c.next_attempt_at)).one() <= now


def test_two_sweepers_that_notice_the_same_jump_do_no_harm(house: Pipeline, clocks: Clocks) -> None:
    other = another_sweeper(house, clocks)
    job_id = house.approved()
    clocks.set_by -= HOUR
    house.sweeper.reap()
    before = house.job(job_id)
    other.reap()
    after = house.job(job_id)
    assert abs((after.available_at - before.available_at).total_seconds()) < 60
    assert house.executor.run(job_id) is RunEnd.COMPLETED


def test_a_process_that_was_stopped_takes_no_clock_for_set(house: Pipeline, clocks: Clocks) -> None:
    clocks.set_by += 40
    clocks.stopped_for += 40
    assert settled(house) == 0


def test_a_process_that_was_stopped_while_it_looked_takes_no_clock_for_set(house: Pipeline, clocks: Clocks) -> None:
    # It was stopped after its first reading of the monotonic clock: the database's came 40 s later.
    clocks.pauses = [0.0, 40.0]
    clocks.set_by += 40
    assert settled(house) == 0
    assert settled(house) == 0


def test_a_clock_that_is_corrected_by_little_is_not_set(house: Pipeline, clocks: Clocks) -> None:
    for _ in range(5):
        clocks.set_by += 4
        assert settled(house) == 0


def settled(house: Pipeline) -> float:
    house.sweeper.reap()
    return sum(
        house.value("marketplace_clock_jumps_total", direction=direction) for direction in ("forward", "backward")
    )


def test_a_host_that_sleeps_again_and_again_keeps_no_dead_run_alive(house: Pipeline, clocks: Clocks) -> None:
    house.approved()
    with house.database.write() as connection:
        connection.execute(update(jobs).values(status=JobStatus.ACTIVE, lease_until_at=now_plus(12), fence=1))
    reaped = 0
    for _ in range(4):
        clocks.set_by += 20
        reaped += house.sweeper.reap()
        reaped += house.sweeper.reap()
    assert reaped == 1


@BOTH_WAYS
def test_a_jump_is_counted_and_told(house: Pipeline, clocks: Clocks, hours: int) -> None:
    clocks.set_by += hours * HOUR
    with capture_logs() as logs:
        house.sweeper.reap()
    assert [(log["event"], round(log["seconds"])) for log in logs] == [("clock_jumped", hours * HOUR)]
    direction = "forward" if hours > 0 else "backward"
    assert house.value("marketplace_clock_jumps_total", direction=direction) == 1


@BOTH_WAYS
def test_the_clock_of_either_database_is_watched(pipeline: Pipeline, hours: int) -> None:
    """No test can set PostgreSQL's clock: every time in the database is moved instead, and so is the monotonic one."""
    clocks = Clocks()
    pipeline.sweeper = another_sweeper(pipeline, clocks)
    waiting, running = pipeline.approved(), pipeline.approved()
    with pipeline.database.write() as connection:
        connection.execute(
            update(jobs)
            .where(jobs.c.job_id == running)
            .values(status=JobStatus.ACTIVE, lease_until_at=now_plus(12), fence=1, started_at=now_plus())
        )
    _move_all_times(pipeline.database, -hours * HOUR)
    clocks.stopped_for -= hours * HOUR

    assert pipeline.sweeper.reap() == 0

    row = pipeline.job(running)
    with pipeline.database.read() as connection:
        now = database_now(connection)
    assert row.status == JobStatus.ACTIVE
    assert 0 < (row.lease_until_at - now).total_seconds() <= 12
    assert 60 < (row.deadline_at - now).total_seconds() <= 120
    assert pipeline.executor.run(waiting) is RunEnd.COMPLETED


def _move_all_times(database: Database, seconds: float) -> None:
    milliseconds = round(seconds * 1000)
    columns = ("lease_until_at", "available_at", "next_dispatch_at", "deadline_at", "created_at", "started_at")
    with database.write() as connection:
        connection.execute(
            update(jobs).values({name: type_coerce(jobs.c[name], BigInteger) + milliseconds for name in columns})
        )
        connection.execute(
            update(plans).values(approved_at=type_coerce(plans.c.approved_at, BigInteger) + milliseconds)
        )


def test_the_first_look_takes_no_clock_for_set(sqlite_template: Path, tmp_path: Path) -> None:
    path = tmp_path / "marketplace.db"
    shutil.copyfile(sqlite_template, path)
    database = Database(DatabaseSettings(url=SecretStr(f"sqlite:///{path}")), clock=lambda: 0)
    watch = ClockWatch(database, JobSettings(), LiveMetrics())
    assert watch.settle() is False
    database.close()
