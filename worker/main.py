"""Entry of the worker process."""

from __future__ import annotations

import logging
import os
import secrets
import socket

import click
import structlog
from prometheus_client import start_http_server

from app.agent_round import AgentRound
from app.analysis_job import AnalysisJob
from app.domain.jobs import JobKind
from app.job_execution import JobBody, JobExecutor
from app.job_runs import Heartbeat
from app.logs import configure_logs
from app.phase_one import PhaseOne
from app.runtime import Runtime, build_runtime
from app.settings import load_settings
from worker.pool import WorkerPool
from worker.schema_wait import wait_for_schema
from worker.signals import stop_event

_log = structlog.stdlib.get_logger(__name__)


@click.command
def worker() -> None:
    """Run jobs: analyses and Phase 1."""
    settings = load_settings()
    configure_logs(settings.log)
    stop = stop_event()
    runtime = build_runtime(settings, "patient")
    if not wait_for_schema(runtime.database, stop):
        return
    pool = build_pool(runtime)
    if settings.worker.metrics_port:
        start_http_server(settings.worker.metrics_port, settings.worker.metrics_host, runtime.metrics.registry)
    pool.start()
    _log.info("worker_started", pid=os.getpid())
    stop.wait()
    released = pool.stop(grace_seconds=settings.worker.shutdown_grace_seconds)
    runtime.close()
    _log.info("worker_stopped", jobs_released=released)
    if released:
        # The threads of released jobs may wait for an agent until their deadline; nothing they do counts any more.
        logging.shutdown()
        os._exit(0)


def build_pool(runtime: Runtime) -> WorkerPool:
    """Put together the job bodies, their executor and its threads."""
    database, metrics, jobs = runtime.database, runtime.metrics, runtime.settings.jobs
    agents = AgentRound(database, runtime.gateway, cache_seconds=jobs.answer_cache_seconds)
    heartbeat = Heartbeat(database, metrics, beat_seconds=jobs.beat_seconds, lease_seconds=jobs.lease_seconds)
    bodies: dict[JobKind, JobBody] = {
        JobKind.PHASE1: PhaseOne(database, agents, metrics),
        JobKind.ANALYSIS: AnalysisJob(database, agents),
    }
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    executor = JobExecutor(database, jobs, bodies, heartbeat, metrics, owner=owner)
    settings = runtime.settings
    return WorkerPool(runtime.redis, settings.redis.namespace, settings.worker, executor, heartbeat, metrics)
