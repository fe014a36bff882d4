"""A running stack that processes and servers are killed in, again and again."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import redis
from sqlalchemy import select

from app.domain.jobs import JobStatus
from app.domain.processes import ProcessRole
from app.failpoints import FAILPOINT_VARIABLE, Failpoint
from app.storage.schema import jobs
from deploy.local.restarts import SETTLED_SECONDS
from deploy.local.simulations import SimulatedAgents
from tests.faults.faulty_stack import CHANNEL, FaultyStack, faulty_stack
from tests.faults.scenario import is_busy
from tests.faults.traffic import Approved, Traffic
from tests.postgres_clock import PostgresClock
from tests.servers import wait_until
from tests.stacks import lives

#: More than a busy machine needs to bring everything back.
_REPAIR_SECONDS = 60.0

_SHIFTED_CLOCK = Path(__file__).with_name("shifted_clock")

#: All at once: each sender has one.
_AT_ONCE = 1000.0


class CrashSite:
    """The stack, its clients, and the one failpoint that may be set.

    `set_clock` makes the database's clock wrong by so many seconds.
    """

    def __init__(self, stack: FaultyStack, failpoint: Path, set_clock: Callable[[int], object]) -> None:
        self.stack = stack
        self.set_clock = set_clock
        self._failpoint = failpoint
        self._traffic = Traffic(stack.stack.facts["urls"]["web"], stack.stack.token, CHANNEL)
        self._agents = SimulatedAgents(stack.stack.facts["urls"]["agents"])
        self._disturbed_at = time.monotonic()

    def let_agent(self, mode: str, **behaviour: object) -> None:
        """Tell the agent, which every job asks for its tasks, how to behave."""
        self._agents.behave(CHANNEL, mode=mode, **behaviour)

    def new_plans(self, count: int) -> list[str]:
        """Return plans that await approval."""
        return self._traffic.import_plans(count)

    def approve(self, plan_ids: Sequence[str]) -> list[Approved]:
        """Approve plans, all at the same time, and again as long as no answer comes."""
        return self._traffic.approve(plan_ids, rate=_AT_ONCE)

    def crash_at(self, role: ProcessRole, point: Failpoint) -> None:
        """Let the next process of this role that gets to this place die there."""
        written = self._failpoint.with_suffix(".new")
        written.write_text(f"{role} {point}", encoding="ascii")
        written.rename(self._failpoint)

    @property
    def has_crashed(self) -> bool:
        """Whether a process has died at the failpoint."""
        return not self._failpoint.exists()

    def holders(self) -> set[str]:
        """Return the owners of the jobs that run."""
        with self.stack.database.read() as connection:
            return set(connection.scalars(select(jobs.c.lease_owner).where(jobs.c.status == JobStatus.ACTIVE)))

    def empty_redis(self) -> None:
        """Remove everything that Redis holds."""
        with redis.Redis.from_url(self.stack.valkey.url) as client:
            client.flushall()

    def wait_until_whole(self, *, settled: bool) -> None:
        """Return when every process runs, one more job is done, and none is open.

        With `settled` every process has also proved that it can run, so that the next to die is replaced at once.
        """
        self.let_agent("healthy")
        settled_at = self._disturbed_at + SETTLED_SECONDS + 1 if settled else 0.0
        wait_until(self._is_quiet, seconds=_REPAIR_SECONDS, what="all processes to run")
        self.approve(self.new_plans(1))
        wait_until(
            lambda: self._is_quiet() and time.monotonic() > settled_at, seconds=_REPAIR_SECONDS, what="a job to be done"
        )
        self._disturbed_at = time.monotonic()

    def _is_quiet(self) -> bool:
        pids = [self.stack.pid(role) for role in ProcessRole]
        return self.stack.stack.process.poll() is None and all(map(lives, pids)) and not is_busy(self.stack)


class _WrongClock:
    """The time of day of every process of the stack, and of PostgreSQL, shifted."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._postgres: PostgresClock | None = None
        self.set(0)

    def replace(self, database_url: str) -> None:
        """Take the place of the database's own clock; SQLite's is that of the processes."""
        if database_url.startswith("postgresql"):
            self._postgres = PostgresClock(database_url, stands=False)

    def set(self, seconds: int) -> None:
        """Be wrong by so many seconds."""
        written = self._file.with_suffix(".new")
        written.write_text(str(seconds), encoding="ascii")
        written.rename(self._file)
        if self._postgres is not None:
            self._postgres.set(seconds * 1000)

    def close(self) -> None:
        if self._postgres is not None:
            self._postgres.close()


@contextmanager
def crash_site(database: str) -> Iterator[CrashSite]:
    """Yield a stack on `sqlite` or `postgresql` whose processes can be made to crash, and whose clock can be set."""
    with tempfile.TemporaryDirectory(prefix="marketplace-crash-") as name:
        directory = Path(name)
        failpoint, shift = directory / "failpoint", directory / "clock-shift"
        settings = {
            FAILPOINT_VARIABLE: str(failpoint),
            "PYTHONPATH": str(_SHIFTED_CLOCK),
            "SHIFTED_CLOCK_FILE": str(shift),
        }
        with (
            closing(_WrongClock(shift)) as clock,
            faulty_stack(directory, database, settings, prepare=clock.replace) as stack,
        ):
            yield CrashSite(stack, failpoint, clock.set)
