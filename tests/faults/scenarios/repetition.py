"""Things that exist twice: schedulers, and messages."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import redis

from app.domain.jobs import QUEUES, JobKind
from app.job_queue.hints import HintQueue
from app.settings import RedisSettings
from tests.faults.faulty_stack import FaultyStack
from tests.faults.scenario import Scenario
from tests.servers import wait_until


def _run_another_scheduler(stack: FaultyStack, busy: Callable[[], bool]) -> None:
    with stack.another("scheduler") as scheduler:
        wait_until(lambda: not busy() or scheduler.poll() is not None, seconds=120, what="the jobs to be done")
        assert scheduler.poll() is None, "the second scheduler ended"


def _send_again(stack: FaultyStack, _plan_id: str, job_id: str) -> None:
    with redis.Redis.from_url(stack.valkey.url) as client:
        HintQueue(client, RedisSettings().namespace).send(QUEUES[JobKind.PHASE1], UUID(job_id))


def _nothing_more(_stack: FaultyStack, _busy: Callable[[], bool]) -> None:
    """Do nothing: the fault is in every approval."""


TWO_SCHEDULERS = Scenario("two-schedulers", "Two schedulers at once", _run_another_scheduler)
DELIVER_TWICE = Scenario("deliver-twice", "Each message delivered twice", _nothing_more, after_approval=_send_again)
