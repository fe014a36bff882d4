"""The threads of one worker process: a pool for Phase 1 jobs and one for analyses."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import dramatiq
import structlog
from dramatiq import Worker
from pydantic import ValidationError
from redis import Redis

from app.domain.errors import DatabaseUnavailableError
from app.domain.jobs import ACTOR, QUEUES, JobKind, JobMessage
from app.job_execution import JobExecutor
from app.job_runs import Heartbeat
from app.metrics import ERRORS, LiveMetrics
from app.settings import WorkerSettings
from worker.broker import HintBroker

_log = structlog.stdlib.get_logger(__name__)


class WorkerPool:
    """Fetches hints and runs their jobs, each kind on threads of its own, so that neither can starve the other."""

    def __init__(
        self,
        client: Redis,
        namespace: str,
        settings: WorkerSettings,
        executor: JobExecutor,
        heartbeat: Heartbeat,
        metrics: LiveMetrics,
    ) -> None:
        self._executor = executor
        self._heartbeat = heartbeat
        self._metrics = metrics
        threads = {JobKind.PHASE1: settings.phase1_threads, JobKind.ANALYSIS: settings.analysis_threads}
        self._workers = [
            self._build_worker(HintBroker(client, namespace, settings), kind, count, settings.poll_milliseconds)
            for kind, count in threads.items()
            if count > 0
        ]

    def start(self) -> None:
        """Begin to fetch."""
        self._heartbeat.start()
        for worker in self._workers:
            worker.start()

    def stop(self, *, grace_seconds: float) -> int:
        """Fetch no more, let running jobs end for up to `grace_seconds`, and give back the rest; returns how many."""
        timeout = round(grace_seconds * 1000)
        stopping = [threading.Thread(target=worker.stop, args=(timeout,)) for worker in self._workers]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()
        released = self._executor.release_held()
        self._heartbeat.stop()
        return released

    def _build_worker(self, broker: HintBroker, kind: JobKind, threads: int, poll_milliseconds: int) -> Worker:
        """Return a Dramatiq worker for one queue; its broker is its own, for it starts a consumer for every queue."""

        @dramatiq.actor(actor_name=ACTOR, queue_name=QUEUES[kind], broker=broker)
        def run_job(message: dict[str, Any]) -> None:
            run_hint(self._executor, self._metrics, message)

        worker = Worker(broker, worker_threads=threads, worker_timeout=poll_milliseconds)
        # Twice the threads, the default, would park jobs behind slow ones while other processes are idle.
        worker.queue_prefetch = threads
        return worker


def run_hint(executor: JobExecutor, metrics: LiveMetrics, message: Mapping[str, Any]) -> None:
    """Run the job that a hint names; whatever happens, the hint is used up, for the sweeper sends another."""
    try:
        hint = JobMessage.model_validate(message)
    except ValidationError:
        metrics.count(ERRORS, place="job")
        _log.error("hint_not_understood")
        return
    try:
        executor.run(hint.job_id)
    except DatabaseUnavailableError as error:
        _log.warning("hint_dropped", job_id=str(hint.job_id), reason=str(error))
    except Exception:  # noqa: BLE001 -- the edge of a worker thread: it must go on
        metrics.count(ERRORS, place="job")
        _log.exception("hint_failed", job_id=str(hint.job_id))
