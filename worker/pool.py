"""The threads of one worker process, in groups that cannot starve each other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import dramatiq
import structlog
from dramatiq import Worker

from app.domain.errors import DatabaseUnavailableError
from app.domain.jobs import ACTOR, QUARANTINE_QUEUES, QUEUES, JobKind, JobMessage
from app.domain.processes import ProcessRole
from app.job_execution import JobExecutor, RunEnd
from app.job_queue.clients import reconnect_pause_seconds
from app.job_queue.hint_messages import Delivery
from app.job_queue.hints import HintQueue
from app.job_runs import Heartbeat
from app.live_metrics import LiveMetrics
from app.metrics import ERRORS, WORKER_THREADS
from app.settings import RedisSettings, WorkerSettings
from worker.broker import HintBroker
from worker.dead_messages import DeadMessages
from worker.isolation import Isolation

_log = structlog.stdlib.get_logger(__name__)

#: Seconds after the end of its attempt at which a run has hung: writing its end may be tried for 40 s.
_OVERDUE_SECONDS = 60.0

#: From so many deaths on a job runs alone. One death is shared with all that ran in the process, and each of them would
#: wait for the others; the next one leaves few in doubt.
_ALONE_FROM = 2


@dataclass(frozen=True)
class ThreadGroup:
    """Threads that run the jobs of some queues.

    `quarantine` ones run nothing but jobs that a process died under, and one alone that two processes died under.
    """

    name: str
    queues: tuple[str, ...]
    threads: int
    quarantine: bool = False


def usual_groups(settings: WorkerSettings) -> list[ThreadGroup]:
    """Return one group for each kind of job, so that neither can starve the other."""
    threads = {JobKind.PHASE1: settings.phase1_threads, JobKind.ANALYSIS: settings.analysis_threads}
    return [ThreadGroup(kind, (QUEUES[kind],), count) for kind, count in threads.items() if count > 0]


def quarantine_groups(settings: WorkerSettings) -> list[ThreadGroup]:
    """Return the threads of a quarantine worker: as many as a worker has whose jobs it takes over."""
    threads = max(1, sum(group.threads for group in usual_groups(settings)))
    return [ThreadGroup("quarantine", tuple(QUARANTINE_QUEUES.values()), threads, quarantine=True)]


class WorkerPool:
    """Takes hints and runs their jobs."""

    def __init__(
        self,
        hints: HintQueue,
        redis: RedisSettings,
        settings: WorkerSettings,
        groups: Sequence[ThreadGroup],
        executor: JobExecutor,
        heartbeat: Heartbeat,
        dead_messages: DeadMessages,
        metrics: LiveMetrics,
    ) -> None:
        self._hints = hints
        self._poll_milliseconds = settings.poll_milliseconds
        self._pause_seconds = partial(reconnect_pause_seconds, redis)
        self._hung_after_seconds = max(settings.hung_after_seconds, 2 * redis.timeout_seconds)
        self._executor = executor
        self._heartbeat = heartbeat
        self._dead_messages = dead_messages
        self._metrics = metrics
        self._running = [self._build(group) for group in groups]

    def start(self) -> None:
        """Begin to take hints."""
        self._heartbeat.start()
        for running in self._running:
            running.worker.start()
            self._show_threads(running.group, running.group.threads)

    def stop(self, *, grace_seconds: float) -> int:
        """Take no more hints, let running jobs end for up to `grace_seconds`, and give back the rest; returns how many.

        Raises:
            DatabaseUnavailableError: What is left loses its lease in time.
        """
        for running in self._running:
            # Dramatiq lets consumers go on until the last job has ended; what they took would wait that long.
            for consumer in running.worker.consumers.values():
                consumer.stop()
            running.broker.close()
            running.isolation.close()
        timeout = round(grace_seconds * 1000)
        stopping = [threading.Thread(target=running.worker.stop, args=(timeout,)) for running in self._running]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()
        for running in self._running:
            self._show_threads(running.group, 0)
        released = self.give_back()
        self._heartbeat.stop()
        return released

    def give_back(self) -> int:
        """Give back what runs, for the process ends now; returns how many jobs.

        Raises:
            DatabaseUnavailableError: What is left loses its lease in time.
        """
        return self._executor.release_held()

    def problems(self) -> list[str]:
        """Return what keeps this pool from running jobs, none when it is well; Redis or database away is none."""
        found = [] if self._heartbeat.lives else ["the heartbeat is dead"]
        for running in self._running:
            found += [f"{running.group.name}: {problem}" for problem in running.problems(self._hung_after_seconds)]
        now = time.monotonic()
        overdue = sum(now - run.deadline.at > _OVERDUE_SECONDS for run in self._heartbeat.held())
        if overdue:
            found.append(f"{overdue} runs have hung for more than {_OVERDUE_SECONDS:.0f} s after the end of their time")
        return found

    def _show_threads(self, group: ThreadGroup, threads: int) -> None:
        queues, role = (QUARANTINE_QUEUES, ProcessRole.QUARANTINE) if group.quarantine else (QUEUES, ProcessRole.WORKER)
        for kind in JobKind:
            if queues[kind] in group.queues:
                self._metrics.set(WORKER_THREADS, threads, kind=kind, role=role)

    def _build(self, group: ThreadGroup) -> _RunningGroup:
        broker = HintBroker(
            self._hints,
            group.queues,
            threads=group.threads,
            poll_seconds=self._poll_milliseconds / 1000,
            pause_seconds=self._pause_seconds,
            bury=self._dead_messages.bury,
        )

        isolation = Isolation(group.threads)

        @dramatiq.actor(actor_name=ACTOR, queue_name=group.name, broker=broker)
        def run_job(delivery: Delivery, hint: JobMessage) -> None:
            if not group.quarantine:
                run_hint(self._executor, self._dead_messages, self._metrics, delivery, hint)
            elif hint.crash_count > 0:
                with isolation.enter(alone=hint.crash_count >= _ALONE_FROM) as may_run:
                    if may_run:
                        run_hint(self._executor, self._dead_messages, self._metrics, delivery, hint)

        worker = Worker(broker, worker_threads=group.threads, worker_timeout=self._poll_milliseconds)
        return _RunningGroup(group, broker, isolation, worker)


@dataclass(frozen=True)
class _RunningGroup:
    """A group with a broker of its own, for Dramatiq starts a consumer for every queue of a worker's broker."""

    group: ThreadGroup
    broker: HintBroker
    isolation: Isolation
    worker: Worker

    def problems(self, hung_after_seconds: float) -> Iterator[str]:
        dead = sum(not thread.is_alive() for thread in self.worker.workers)
        if dead:
            yield f"{dead} of {self.group.threads} threads are dead"
        if not all(consumer.is_alive() for consumer in self.worker.consumers.values()):
            yield "the consumer is dead"
        silent = time.monotonic() - self.broker.turned_at
        if silent > hung_after_seconds:
            yield f"the consumer has hung for {silent:.0f} s"


def run_hint(
    executor: JobExecutor,
    dead_messages: DeadMessages,
    metrics: LiveMetrics,
    delivery: Delivery,
    hint: JobMessage,
) -> None:
    """Run the job that a hint names; whatever happens, the hint is used up, for the sweeper sends another."""
    try:
        end = executor.run(hint.job_id, crash_count=hint.crash_count)
        if end is RunEnd.NOT_CLAIMED:
            dead_messages.bury_if_unknown(delivery, hint.job_id)
    except DatabaseUnavailableError as error:
        _log.warning("hint_dropped", job_id=str(hint.job_id), reason=str(error))
    except Exception:  # noqa: BLE001 -- the edge of a worker thread: it must go on
        metrics.count(ERRORS, place="job")
        _log.exception("hint_failed", job_id=str(hint.job_id))
