"""SIGSTOP of a worker for 40 s, and back: its late commits must be refused."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from sqlalchemy import select

from app.domain.jobs import AttemptOutcome, JobStatus
from app.storage.schema import attempts, jobs
from tests.faults.faulty_stack import FaultyStack
from tests.faults.scenario import POSTGRESQL, SQLITE, Scenario
from tests.faults.verdict import Verdict
from tests.servers import wait_until

_SECONDS = 40.0


def _freeze_the_only_one(stack: FaultyStack, _busy: Callable[[], bool]) -> None:
    pid = stack.signal("worker", signal.SIGSTOP)
    wait_until(lambda: stack.pid("worker") != pid, seconds=_SECONDS, what="the supervisor to end the frozen worker")


def _freeze_one_of_another_host(stack: FaultyStack, _busy: Callable[[], bool]) -> None:
    with stack.another("worker") as worker:

        def holds_jobs() -> bool:
            with stack.database.read() as connection:
                owners = connection.scalars(select(jobs.c.lease_owner).where(jobs.c.status == JobStatus.ACTIVE)).all()
            return any(f":{worker.pid}:" in owner for owner in owners)

        wait_until(holds_jobs, seconds=30, what="the other worker to hold jobs")
        os.kill(worker.pid, signal.SIGSTOP)
        time.sleep(_SECONDS)
        os.kill(worker.pid, signal.SIGCONT)


def _lost_some(stack: FaultyStack, _verdict: Verdict) -> list[str]:
    with stack.database.read() as connection:
        lost = connection.scalars(
            select(attempts.c.job_id).where(attempts.c.outcome == AttemptOutcome.LOST).limit(1)
        ).all()
    return [] if lost else ["the frozen worker held no job: the fault proved nothing"]


def _refused_some(stack: FaultyStack, _verdict: Verdict) -> list[str]:
    """The worker that came back has tried to write the ends of its runs, in vain."""
    refused = (stack.directory / "worker.log").read_text(encoding="utf-8").count('"job_run_fenced"')
    return [] if refused else ["no late commit was refused: the fault proved nothing"]


FREEZE_WORKER = Scenario(
    "freeze-worker",
    "SIGSTOP of the worker: the supervisor ends it",
    _freeze_the_only_one,
    databases=(SQLITE, POSTGRESQL),
    check=_lost_some,
)
FREEZE_AWAY = Scenario(
    "freeze-away",
    "SIGSTOP of a worker on another host for 40 s, and back",
    _freeze_one_of_another_host,
    databases=(POSTGRESQL,),
    check=_refused_some,
)
