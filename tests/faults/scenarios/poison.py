"""What is poisonous by itself: messages that lead to no job, and one job that kills its process."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from uuid import UUID, uuid4

import redis
from sqlalchemy import select

from app.domain.dead_letters import CRASH_LIMIT, MessageFault
from app.domain.jobs import QUEUES, JobKind, JobMessage, JobStatus
from app.job_queue.hint_messages import encode_hint
from app.settings import RedisSettings
from app.storage.schema import dead_letters, jobs
from deploy.local.simulations import SimulatedAgents
from deploy.local.story_plans import WITHOUT_PHASE_1
from tests.faults.faulty_stack import FaultyStack
from tests.faults.scenario import Scenario
from tests.faults.verdict import Verdict
from tests.servers import wait_until
from tests.stacks import approve, import_plan

_QUEUE = QUEUES[JobKind.PHASE1]

#: The agent of the lethal job, which no other job asks, and how long it takes: long enough to be met while it runs.
_CHANNEL = "shopee"
_MILLISECONDS = 3000


def _of_another_version() -> bytes:
    message = json.loads(encode_hint(_QUEUE, JobMessage(job_id=uuid4())))
    message["kwargs"]["message"]["v"] = 99
    return json.dumps(message).encode()


#: By the reason of the dead letter that each of them becomes. A plan that was deleted has taken its job along.
_POISON = {
    MessageFault.UNDECODABLE: b"\x80\x04\x95 no message",
    MessageFault.VERSION: _of_another_version(),
    MessageFault.UNKNOWN_JOB: encode_hint(_QUEUE, JobMessage(job_id=uuid4())),
}


def _put_poison_into_the_queue(stack: FaultyStack, _busy: Callable[[], bool]) -> None:
    with redis.Redis.from_url(stack.valkey.url) as client:
        client.lpush(f"{RedisSettings().namespace}:{_QUEUE}", *_POISON.values())
    wait_until(lambda: len(_letters(stack)) == len(_POISON), seconds=60, what="a dead letter for every message")


def _each_is_a_letter(stack: FaultyStack, _verdict: Verdict) -> list[str]:
    found = sorted(_letters(stack))
    return [] if found == sorted(_POISON) else [f"the dead letters are {found}"]


def _kill_whoever_runs_one_job(stack: FaultyStack, _busy: Callable[[], bool]) -> None:
    SimulatedAgents(stack.stack.facts["urls"]["agents"]).behave(_CHANNEL, mode="slow", latencyMs=_MILLISECONDS)
    job_id = UUID(approve(stack.stack.api, import_plan(stack.stack.api, "Lethal", _CHANNEL, WITHOUT_PHASE_1)))

    def is_dead() -> bool:
        with stack.database.read() as connection:
            job = connection.execute(select(jobs.c.status, jobs.c.lease_owner).where(jobs.c.job_id == job_id)).one()
        if job.status == JobStatus.ACTIVE:
            # The one that it killed before may hold it for a moment longer.
            with suppress(ProcessLookupError):
                os.kill(int(job.lease_owner.split(":")[1]), signal.SIGKILL)
        return bool(job.status == JobStatus.FAILED)

    wait_until(is_dead, seconds=90, what="the lethal job to be a dead letter")


def _it_alone_is_a_letter(stack: FaultyStack, _verdict: Verdict) -> list[str]:
    found = _letters(stack)
    return [] if found == [CRASH_LIMIT] else [f"the dead letters are {found}"]


def _letters(stack: FaultyStack) -> Sequence[str]:
    with stack.database.read() as connection:
        return connection.scalars(select(dead_letters.c.reason)).all()


POISON = Scenario(
    "poison",
    "Bytes that are no message, an unknown version, a job that is not there",
    _put_poison_into_the_queue,
    check=_each_is_a_letter,
)
LETHAL_JOB = Scenario(
    "lethal-job", "One more job, which kills its process", _kill_whoever_runs_one_job, check=_it_alone_is_a_letter
)
