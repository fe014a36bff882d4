"""The rows of the protocol's crash table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from app.domain.processes import ProcessRole
from app.failpoints import Failpoint
from tests.crash_points.crash_site import CrashSite
from tests.crash_points.crashes import (
    Crash,
    die_at,
    die_in_place,
    empty_redis,
    kill_all_workers,
    kill_database,
    lose_host,
    set_clock,
    take_redis_away,
)
from tests.faults.scenario import POSTGRESQL, SQLITE

#: Where only a process died, and for all else.
DIED_SECONDS = 5.0
LOST_SECONDS = 20.0


@dataclass(frozen=True)
class CrashRow:
    """One row: from the crash to the last job done it takes `seconds` at most."""

    name: str
    killed: str
    left_behind: str
    crash: Callable[[CrashSite], Crash]
    seconds: float = DIED_SECONDS
    point: Failpoint | None = None
    databases: Sequence[str] = (SQLITE, POSTGRESQL)


def crash_rows() -> list[CrashRow]:
    """Return every row, those that end one process at one place first.

    The clock is set at two rows that are a minute apart: the sweeper believes in leases that often.
    """
    return [
        _at(
            ProcessRole.WEB,
            Failpoint.APPROVAL_BEFORE_COMMIT,
            "web-before-commit",
            "API before COMMIT",
            "plan still awaiting approval, no job",
        ),
        _at(
            ProcessRole.WEB,
            Failpoint.APPROVAL_AFTER_COMMIT,
            "web-after-commit",
            "API after COMMIT, before the hint",
            "pending job, no hint",
        ),
        _at(
            ProcessRole.WEB,
            Failpoint.APPROVAL_AFTER_HINT,
            "web-after-hint",
            "API after the hint, before the answer",
            "all is well, the client does not know",
        ),
        _at(
            ProcessRole.WORKER,
            Failpoint.JOB_BEFORE_CLAIM,
            "worker-before-claim",
            "worker with hints, before T2",
            "pending jobs, hints that died with it",
        ),
        _at(
            ProcessRole.WORKER,
            Failpoint.JOB_AFTER_CLAIM,
            "worker-after-claim",
            "worker after T2",
            "active jobs with leases",
        ),
        _at(
            ProcessRole.WORKER,
            Failpoint.JOB_AFTER_WORK,
            "worker-mid-run",
            "worker after the work, before T4",
            "active jobs with leases",
        ),
        _at(
            ProcessRole.WORKER,
            Failpoint.JOB_BEFORE_COMPLETE_COMMIT,
            "worker-inside-completion",
            "worker inside T4, before COMMIT",
            "as above; the transaction is rolled back",
        ),
        _at(
            ProcessRole.WORKER,
            Failpoint.JOB_AFTER_COMPLETE,
            "worker-after-completion",
            "worker after T4",
            "a completed job; its other jobs as above",
        ),
        _at(
            ProcessRole.WORKER,
            Failpoint.JOB_AFTER_PUT_BACK,
            "worker-after-failure",
            "worker after T5",
            "a pending job, due after its pause",
            fails_first=True,
        ),
        _at(
            ProcessRole.SCHEDULER,
            Failpoint.SWEEP_AFTER_MARK,
            "sweeper-after-marking",
            "sweeper after marking, before sending",
            "a marked job without a hint",
            fails_first=True,
        ),
        _at(
            ProcessRole.SCHEDULER,
            Failpoint.SWEEP_AFTER_SEND,
            "sweeper-after-sending",
            "sweeper after sending",
            "a hint that was sent",
            fails_first=True,
        ),
        CrashRow(
            "web-in-place",
            "API while it runs a job in place",
            "an active job with a lease",
            partial(die_in_place, ProcessRole.WEB),
            point=Failpoint.JOB_AFTER_CLAIM,
        ),
        CrashRow(
            "scheduler-in-place",
            "scheduler while it runs a job in place",
            "an active job with a lease",
            partial(die_in_place, ProcessRole.SCHEDULER),
            point=Failpoint.JOB_AFTER_CLAIM,
        ),
        CrashRow("all-workers", "all workers", "active jobs, hints that wait", kill_all_workers),
        CrashRow(
            "clock-back",
            "nothing; the clock is set back by 1 h",
            "leases and due times that lie far ahead",
            partial(set_clock, -3600),
            LOST_SECONDS,
        ),
        CrashRow("lost-host", "a host with its worker", "active jobs with leases", lose_host, LOST_SECONDS),
        CrashRow("redis-emptied", "Redis, emptied", "pending jobs without hints", empty_redis, LOST_SECONDS),
        CrashRow(
            "redis-away",
            "Redis, away for 15 s",
            "pending jobs without hints",
            partial(take_redis_away, 15.0, emptied=False),
            LOST_SECONDS,
        ),
        CrashRow(
            "redis-away-and-emptied",
            "Redis, away for 10 s and emptied",
            "pending jobs without hints",
            partial(take_redis_away, 10.0, emptied=True),
            LOST_SECONDS,
        ),
        CrashRow(
            "database-killed",
            "database, killed and away for 6 s",
            "nothing half written",
            partial(kill_database, 6.0),
            LOST_SECONDS,
            databases=(POSTGRESQL,),
        ),
        CrashRow(
            "clock-forward",
            "nothing; the clock is set forward by 1 h",
            "leases and due times that are long over",
            partial(set_clock, 0),
            LOST_SECONDS,
        ),
    ]


def _at(
    role: ProcessRole, point: Failpoint, name: str, killed: str, left_behind: str, *, fails_first: bool = False
) -> CrashRow:
    crash = partial(die_at, role, point, fails_first=fails_first)
    return CrashRow(name, killed, left_behind, crash, point=point)
