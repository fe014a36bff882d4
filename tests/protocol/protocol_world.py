"""The parts of the job protocol in one process, where every move is made by hand: for `protocol_machine`.

Storage, use cases, executor and sweeper are the real ones; what is replaced stands in `doubles`.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import delete, event

from app.analyses import Analyses
from app.announcements import Announcer
from app.approval import Approvals
from app.controls import Controls
from app.dead_letters import DeadLetters
from app.domain.controls import HELD
from app.domain.jobs import JobKind, RunVia
from app.domain.processes import ProcessRole
from app.in_place import InPlaceRuns
from app.job_execution import Finished, JobExecutor
from app.job_runs import Heartbeat, JobRun
from app.live_metrics import LiveMetrics
from app.phase_one import PhaseOne
from app.presence import Presence, dead_owners
from app.reaping import reap_dead
from app.recovery import Recovery
from app.settings import DatabaseSettings, JobSettings, SchedulerSettings
from app.storage.controls import queue_state, waits_for_scheduler
from app.storage.schema import metadata
from tests.protocol.doubles import Clock, DoubtfulDatabase, Hints, Wordings
from tests.protocol.runs import Process, Run
from tests.servers import wait_until
from worker.fallback import Fallback
from worker.stuck_watch import StuckWatch
from worker.sweeper import Sweeper


class _LookingOnlyError(Exception):
    """The files of the dead stay."""


class ProtocolWorld:
    """A new world on an old database, of which everything is removed, and on one host, whose directory is given."""

    def __init__(self, database: DoubtfulDatabase, clock: Clock, directory: Path) -> None:
        self.database = database
        self.clock = clock
        self.directory = directory
        self.settings = JobSettings()
        self.hints = Hints()
        self._presences: list[Presence] = []
        self._metrics = LiveMetrics(agents=["amazon"])
        self._phase_one = PhaseOne(database, Wordings(), self._metrics)
        self._remove_everything()
        announcer = Announcer(self.hints, self._metrics)
        self._in_place = InPlaceRuns(
            self.new_process(ProcessRole.WEB).executor, self._metrics, via=RunVia.SYNC, limits={JobKind.PHASE1: 2}
        )
        self.analyses = Analyses(database, announcer, self.settings, self._metrics, channels=["amazon"])
        self.approvals = Approvals(database, announcer, self._in_place, self.settings, self._metrics)
        self.recovery = Recovery(database, announcer, self.settings, self._metrics)
        self.letters = DeadLetters(database, announcer, self.settings, self._metrics)
        self.controls = Controls(database, self.hints, self.settings)
        self.sweeper = Sweeper(
            database,
            self.hints,
            self.recovery,
            self.settings,
            self._metrics,
            monotonic=lambda: self.clock.monotonic_seconds,
        )
        self.watch = StuckWatch(database, self.recovery, self.settings, self._metrics)
        self._fallback = Fallback(
            database,
            self.new_process(ProcessRole.SCHEDULER).executor,
            SchedulerSettings(),
            self._metrics,
            redis_away_seconds=lambda: self.sweeper.redis_away_seconds,
        )
        # The first round of a sweeper, which begins to watch the clock.
        self.sweeper.reconcile()

    @property
    def is_held(self) -> bool:
        """Whether workers claim nothing new."""
        with self.database.read() as connection:
            return queue_state(connection, JobKind.PHASE1) in HELD

    @property
    def waits_for_scheduler(self) -> bool:
        """Whether workers are not told of jobs that wait."""
        with self.database.read() as connection:
            return waits_for_scheduler(connection, JobKind.PHASE1)

    def new_process(self, role: ProcessRole = ProcessRole.WORKER) -> Process:
        """Return one more process that runs jobs."""
        presence = Presence(role, self.directory)
        presence.enter()
        self._presences.append(presence)
        heartbeat = Heartbeat(
            self.database,
            self._metrics,
            beat_seconds=self.settings.beat_seconds,
            lease_seconds=self.settings.lease_seconds,
        )
        bodies = {JobKind.PHASE1: self._work}
        executor = JobExecutor(self.database, self.settings, bodies, heartbeat, self._metrics, owner=presence.owner)
        return Process(presence, executor, heartbeat)

    def dead_owners(self) -> Sequence[str]:
        """Return the owners whose process is dead, and whose leases nobody has given back yet."""
        found: Sequence[str] = []
        with contextlib.suppress(_LookingOnlyError), dead_owners(self.directory) as owners:
            found = list(owners)
            raise _LookingOnlyError
        return found

    def give_back_dead(self) -> None:
        """Give back what dead processes of this host held."""
        reap_dead(self.database, self._metrics, self.directory, crash_limit=self.settings.crash_limit)

    def fall_back(self) -> None:
        """Let the scheduler run what is left to it, and wait until it has."""
        self._fallback.run_due()
        wait_until(lambda: not self._fallback._runs.running, what="the scheduler's runs to end")

    def close(self) -> None:
        """Let go of what each process holds of the operating system."""
        for presence in self._presences:
            presence.leave()

    def _work(self, run: JobRun) -> Finished:
        thread = threading.current_thread()
        # A run in place is over before anybody else moves.
        if isinstance(thread, Run):
            thread.stand_still(run)
        return self._phase_one(run)

    def _remove_everything(self) -> None:
        self.database.doubts = ()
        shutil.rmtree(self.directory, ignore_errors=True)
        with self.database.write() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(delete(table))


def doubtful_database(url: str, clock: Clock) -> DoubtfulDatabase:
    """Return a migrated database with this clock."""
    database = DoubtfulDatabase(DatabaseSettings(url=SecretStr(url), pool_size=10), clock=lambda: clock.now_ms)
    if database.dialect == "sqlite":
        # Nothing here loses power: what fsync is for is not under test, and takes most of the time.
        event.listen(database.engine, "connect", _leave_fsync_out)
    return database


def _leave_fsync_out(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")
