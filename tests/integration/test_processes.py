"""A process among the others: its row, its file, and its beats."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from sqlalchemy import insert, select, update

from app.domain.errors import DatabaseUnavailableError
from app.domain.jobs import JobStatus
from app.domain.processes import ProcessRole
from app.job_runs import Heartbeat
from app.live_metrics import LiveMetrics
from app.membership import Membership
from app.presence import Presence, last_beats
from app.storage.clock import now_plus
from app.storage.database import Database
from app.storage.processes import is_running, seen_processes, show_process
from app.storage.schema import processes
from app.storage.transitions import claim
from tests.pipeline import Pipeline
from tests.servers import wait_until


class Process:
    """The membership of one process, which beats fast."""

    def __init__(self, database: Database, directory: Path) -> None:
        self.database = database
        self.directory = directory
        self.presence = Presence(ProcessRole.WORKER, directory)
        self.owner = self.presence.owner
        metrics = LiveMetrics()
        heartbeat = Heartbeat(
            database,
            metrics,
            beat_seconds=0.05,
            lease_seconds=12,
            show=lambda connection: show_process(database, connection, self.owner, ProcessRole.WORKER),
        )
        self.membership = Membership(database, self.presence, heartbeat, metrics, crash_limit=3)

    def seen(self) -> list[str]:
        with self.database.read() as connection:
            return [process.owner for process in seen_processes(connection, within_seconds=60, limit=9)]

    def files(self) -> list[str]:
        return [path.name for path in self.directory.glob("*")]


@pytest.fixture
def process(database: Database, tmp_path: Path) -> Iterator[Process]:
    process = Process(database, tmp_path / "processes")
    yield process
    process.membership.leave()


def test_a_process_that_joins_is_seen_in_its_directory_and_in_the_database(process: Process) -> None:
    process.membership.join(is_well=lambda: True)
    assert process.files() == [f"{process.owner}.lock"]
    wait_until(lambda: process.seen() == [process.owner], what="the first beat")


def test_its_row_is_renewed_with_every_beat(process: Process) -> None:
    process.membership.join(is_well=lambda: True)
    wait_until(process.seen, what="the first beat")
    with process.database.write() as connection:
        connection.execute(update(processes).values(seen_at=now_plus(-3000), started_at=now_plus(-4000)))
    wait_until(process.seen, what="another beat")
    with process.database.read() as connection:
        row = connection.execute(select(processes)).one()
    assert (row.seen_at - row.started_at).total_seconds() > 3990


def test_a_process_that_leaves_is_seen_no_more(process: Process) -> None:
    process.membership.join(is_well=lambda: True)
    wait_until(process.seen, what="the first beat")
    process.membership.leave()
    assert (process.files(), process.seen()) == ([], [])


def test_a_process_that_left_before_it_joined_joins_no_more(process: Process) -> None:
    process.membership.leave()
    process.membership.join(is_well=lambda: True)
    assert not process.directory.exists()


def test_a_process_that_starts_gives_back_what_its_predecessor_held(pipeline: Pipeline, tmp_path: Path) -> None:
    process = Process(pipeline.database, tmp_path / "processes")
    process.directory.mkdir()
    (process.directory / "worker@host:1:dead.lock").touch()
    job_id = pipeline.approved()
    with pipeline.database.write() as connection:
        claim(connection, job_id, owner="worker@host:1:dead", lease_seconds=60)
    process.membership.join(is_well=lambda: True)
    assert pipeline.job(job_id).status == JobStatus.PENDING
    process.membership.leave()


@pytest.mark.parametrize("well", [True, False])
def test_a_process_beats_while_it_is_well(process: Process, well: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 -- a table of cases
    monkeypatch.setattr("app.membership._BEAT_SECONDS", 0.01)
    asked: list[None] = []
    beats: list[None] = []
    monkeypatch.setattr(process.presence, "beat", lambda: beats.append(None))

    def is_well() -> bool:
        asked.append(None)
        return well

    process.membership.join(is_well=is_well)
    wait_until(lambda: len(asked) > 5, what="to be asked")
    process.membership.leave()
    assert bool(beats) is well


def test_a_process_leaves_although_the_database_is_away(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    process.membership.join(is_well=lambda: True)
    wait_until(process.seen, what="the first beat")

    def away() -> None:
        raise DatabaseUnavailableError("sqlite: locked")

    with structlog.testing.capture_logs() as logs:
        monkeypatch.setattr(process.database, "write", away)
        process.membership.leave()
    assert "process_not_removed" in [log["event"] for log in logs]
    assert last_beats(process.directory) == {}


def test_processes_that_have_been_silent_for_too_long_are_forgotten(pipeline: Pipeline) -> None:
    with pipeline.database.write() as connection:
        for owner, seconds in (("old", 3700), ("new", 3500)):
            connection.execute(
                insert(processes).values(
                    owner=owner, role=ProcessRole.WEB, started_at=now_plus(-4000), seen_at=now_plus(-seconds)
                )
            )
    pipeline.sweeper.reconcile()
    with pipeline.database.read() as connection:
        assert connection.scalars(select(processes.c.owner)).all() == ["new"]


def test_a_role_is_running_when_one_of_its_processes_was_seen_within_the_span(database: Database) -> None:
    with database.write() as connection:
        for owner, role, seconds in (("a", "worker", 5), ("b", "worker", 50), ("c", "scheduler", 40), ("d", "new", 5)):
            connection.execute(
                insert(processes).values(owner=owner, role=role, started_at=now_plus(), seen_at=now_plus(-seconds))
            )
    with database.read() as connection:
        assert is_running(connection, ProcessRole.WORKER, within_seconds=20)
        assert not is_running(connection, ProcessRole.SCHEDULER, within_seconds=20)
        assert [process.owner for process in seen_processes(connection, within_seconds=60, limit=2)] == ["a", "c"]
