"""The pipeline's parts in one process, on a real database and a real Valkey, for integration tests."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import Row, select

from app.analyses import Analyses
from app.announcements import Announcer
from app.approval import Approvals
from app.controls import Controls
from app.dead_letters import DeadLetters
from app.domain.jobs import JobKind, RunVia
from app.domain.roles import Actor, Role
from app.in_place import InPlaceRuns
from app.job_execution import Finished, JobBody, JobExecutor
from app.job_queue.clients import fail_fast_client
from app.job_queue.hints import HintQueue
from app.job_runs import Heartbeat, JobRun
from app.live_metrics import LiveMetrics
from app.recovery import Recovery
from app.settings import JobSettings, RedisSettings
from app.storage.database import Database
from app.storage.jobs import attempts_of, job_by_id
from app.storage.plans import plan_by_id
from app.storage.schema import dead_letters, events, tasks
from worker.dead_messages import DeadMessages
from worker.stuck_watch import StuckWatch
from worker.sweeper import Sweeper

APPROVER = Actor("ana", Role.APPROVER)

PLAN = {
    "summary": "Sell more shoes",
    "phases": [
        {"number": 1, "name": "Foundations", "tasks": ["Fix the titles", "Add five photos", "Answer questions"]}
    ],
}


def no_work(_run: JobRun) -> Finished:
    """Finish at once, with nothing to write."""
    return Finished(lambda _connection: {})


@dataclass
class Pipeline:
    """One of everything; `bodies` may be replaced by a test."""

    database: Database
    redis_url: str
    settings: JobSettings = field(default_factory=JobSettings)
    bodies: dict[JobKind, JobBody] = field(default_factory=lambda: dict.fromkeys(JobKind, no_work))

    def __post_init__(self) -> None:
        self.metrics = LiveMetrics(agents=["amazon", "shopee"])
        self.redis_settings = RedisSettings(url=SecretStr(self.redis_url), namespace=f"{{test-{secrets.token_hex(6)}}}")
        self.redis = fail_fast_client(self.redis_settings, self.metrics)
        self.hints = HintQueue(self.redis, self.redis_settings.namespace)
        self.dead_messages = DeadMessages(self.database, self.hints, self.metrics)
        announcer = Announcer(self.hints, self.metrics)
        self.analyses = Analyses(self.database, announcer, self.settings, self.metrics, channels=["amazon", "shopee"])
        self.controls = Controls(self.database, self.hints, self.settings)
        self.recovery = Recovery(self.database, announcer, self.settings, self.metrics)
        self.dead_letters = DeadLetters(self.database, announcer, self.settings, self.metrics)
        self.sweeper = Sweeper(self.database, self.hints, self.recovery, self.settings, self.metrics)
        self.watch = StuckWatch(self.database, self.recovery, self.settings, self.metrics)
        self.heartbeat = Heartbeat(
            self.database,
            self.metrics,
            beat_seconds=self.settings.beat_seconds,
            lease_seconds=self.settings.lease_seconds,
        )
        self.executor = self.another_executor("worker-1")
        self.in_place = InPlaceRuns(
            self.another_executor("web-1"), self.metrics, via=RunVia.SYNC, limits={JobKind.PHASE1: 2}
        )
        self.approvals = Approvals(self.database, announcer, self.in_place, self.settings, self.metrics)

    def another_executor(self, owner: str) -> JobExecutor:
        """Return the executor of one more worker process."""
        return JobExecutor(self.database, self.settings, self.bodies, self.heartbeat, self.metrics, owner=owner)

    def close(self) -> None:
        """Wait for what runs in place, and close the connections to Redis."""
        self.in_place.stop(grace_seconds=10)
        self.redis.close()

    def imported(self, plan_data: Mapping[str, Any] | None = None, channels: tuple[str, ...] = ("amazon",)) -> UUID:
        """Return a plan that awaits approval."""
        return self.analyses.import_plan(
            title="Shoes",
            channels=channels,
            plan_data=PLAN if plan_data is None else plan_data,
            by=APPROVER,
            request_id=None,
        )

    def approved(self, plan_data: Mapping[str, Any] | None = None, channels: tuple[str, ...] = ("amazon",)) -> UUID:
        """Return the job of an approved plan."""
        plan_id = self.imported(plan_data, channels)
        return self.approvals.approve(plan_id, by=APPROVER, request_id=None).job_id

    def job(self, job_id: UUID) -> Row[Any]:
        """Return the row of a job."""
        with self.database.read() as connection:
            row = job_by_id(connection, job_id)
        assert row is not None
        return row

    def plan(self, plan_id: UUID) -> Row[Any]:
        """Return the row of a plan."""
        with self.database.read() as connection:
            row = plan_by_id(connection, plan_id)
        assert row is not None
        return row

    def attempts(self, job_id: UUID) -> list[Row[Any]]:
        """Return the attempts of a job."""
        with self.database.read() as connection:
            return list(attempts_of(connection, job_id))

    def tasks(self, plan_id: UUID) -> list[Row[Any]]:
        """Return the tasks of a plan, in order."""
        with self.database.read() as connection:
            return list(
                connection.execute(select(tasks).where(tasks.c.plan_id == plan_id).order_by(tasks.c.position)).all()
            )

    def events(self, job_id: UUID) -> list[str]:
        """Return the types of a job's events, sorted."""
        with self.database.read() as connection:
            return sorted(connection.scalars(select(events.c.type).where(events.c.job_id == job_id)).all())

    def dead_letter(self, job_id: UUID) -> Row[Any] | None:
        """Return the dead letter of a job."""
        with self.database.read() as connection:
            return connection.execute(select(dead_letters).where(dead_letters.c.job_id == job_id)).one_or_none()

    def value(self, name: str, **labels: str) -> float:
        """Return a sample of the live metrics."""
        value = self.metrics.registry.get_sample_value(name, labels)
        assert value is not None, f"no sample {name} {labels}"
        return value


def raising(*errors: Exception) -> Callable[[JobRun], Finished]:
    """Return a body that raises these errors, one per attempt, and then finishes."""
    left = list(errors)

    def body(run: JobRun) -> Finished:
        if left:
            raise left.pop(0)
        return no_work(run)

    return body


class Held:
    """A body that waits until it is let go."""

    def __init__(self) -> None:
        self._free = threading.Event()

    def __call__(self, run: JobRun) -> Finished:
        """Finish at once, when it may."""
        assert self._free.wait(30)
        return no_work(run)

    def let_go(self) -> None:
        """Let every run finish, and those to come."""
        self._free.set()
