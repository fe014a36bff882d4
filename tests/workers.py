"""A worker's threads in this process, on the pipeline of a test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from app.domain.jobs import JobStatus
from app.job_execution import JobExecutor
from app.job_queue.clients import patient_client
from app.job_queue.hints import HintQueue
from app.job_runs import Heartbeat
from app.settings import WorkerSettings
from tests.pipeline import Pipeline
from tests.servers import wait_until
from worker.pool import ThreadGroup, WorkerPool, usual_groups


@contextmanager
def working(
    pipeline: Pipeline,
    groups: Sequence[ThreadGroup] | None = None,
    *,
    owner: str = "worker-1",
    redis_timeout_seconds: float = 5.0,
    **settings: float,
) -> Iterator[WorkerPool]:
    """Run the threads of a worker process, with a client of its own; at the end its jobs get 10 s."""
    worker = WorkerSettings.model_validate({"poll_milliseconds": 100, **settings})
    redis = pipeline.redis_settings.model_copy(update={"timeout_seconds": redis_timeout_seconds})
    client = patient_client(redis, pipeline.metrics)
    heartbeat = Heartbeat(
        pipeline.database,
        pipeline.metrics,
        beat_seconds=pipeline.settings.beat_seconds,
        lease_seconds=pipeline.settings.lease_seconds,
    )
    pool = WorkerPool(
        HintQueue(client, redis.namespace),
        redis,
        worker,
        usual_groups(worker) if groups is None else groups,
        JobExecutor(pipeline.database, pipeline.settings, pipeline.bodies, heartbeat, pipeline.metrics, owner=owner),
        heartbeat,
        pipeline.dead_messages,
        pipeline.metrics,
    )
    pool.start()
    try:
        yield pool
    finally:
        pool.stop(grace_seconds=10)
        client.close()


def ends(pipeline: Pipeline, job_id: UUID, status: JobStatus = JobStatus.COMPLETED, *, seconds: float = 20.0) -> None:
    """Wait until a job has this status."""
    wait_until(lambda: pipeline.job(job_id).status == status, seconds=seconds, what=f"job {status}")
