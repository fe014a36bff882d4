"""Entry of the worker process."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence

import click
import structlog

from app.domain.errors import MarketplaceError
from app.domain.processes import ProcessRole
from app.failpoints import FAILPOINT_VARIABLE, arm_failpoints
from app.logs import configure_logs
from app.runtime import Runtime, build_runtime
from app.schema_wait import wait_for_schema
from app.settings import load_settings
from app.stop_signals import stop_event
from worker.dead_messages import DeadMessages
from worker.pool import WorkerPool, quarantine_groups, usual_groups
from worker.probes import serve_probes
from worker.watchdog import Watchdog

_log = structlog.stdlib.get_logger(__name__)

#: An unwell process gets this long to give its jobs back.
_LAST_ACT_SECONDS = 10.0


@click.command
@click.option("--quarantine", is_flag=True, help="Run only jobs that a process died under.")
def worker(*, quarantine: bool) -> None:
    """Run jobs: analyses and Phase 1.

    Ends with code 70 when threads have died or hang: start it again.
    """
    settings = load_settings(ignoring=FAILPOINT_VARIABLE)
    role = ProcessRole.QUARANTINE if quarantine else ProcessRole.WORKER
    configure_logs(settings.log)
    arm_failpoints(role)
    run_worker(build_runtime(settings, role, "patient"))


def run_worker(runtime: Runtime) -> None:
    """Run jobs until a signal asks to stop, or threads have died."""
    settings = runtime.settings.worker
    stop = stop_event()
    started = threading.Event()

    def problems() -> Sequence[str]:
        return watchdog.problems()

    if settings.metrics_port:
        # Before the database is there: whoever looks after this process must see that it lives.
        registry = runtime.metrics.registry
        serve_probes(settings.metrics_host, settings.metrics_port, registry, problems, has_started=started.is_set)
    if not wait_for_schema(runtime.database, stop):
        return
    pool = build_pool(runtime)
    watchdog = Watchdog(pool.problems, give_up=lambda problems: _end_unwell(pool, problems))
    runtime.membership.join(is_well=lambda: not problems())
    runtime.breakers.start()
    pool.start()
    watchdog.start()
    started.set()
    _log.info("worker_started", pid=os.getpid(), role=runtime.presence.role)
    stop.wait()
    watchdog.stand_down()
    released = pool.stop(grace_seconds=settings.shutdown_grace_seconds)
    runtime.close()
    _log.info("worker_stopped", jobs_released=released)
    if released:
        # The threads of released jobs may wait for an agent until their deadline; nothing they do counts any more.
        logging.shutdown()
        os._exit(0)


def build_pool(runtime: Runtime) -> WorkerPool:
    """Put together the threads that run jobs, for a usual or a quarantine worker."""
    settings = runtime.settings
    quarantine = runtime.presence.role is ProcessRole.QUARANTINE
    return WorkerPool(
        runtime.hints,
        settings.redis,
        settings.worker,
        quarantine_groups(settings.worker) if quarantine else usual_groups(settings.worker),
        runtime.executor,
        runtime.heartbeat,
        DeadMessages(runtime.database, runtime.hints, runtime.metrics),
        runtime.metrics,
    )


def _end_unwell(pool: WorkerPool, problems: Sequence[str]) -> None:
    """End this process: whoever started it starts another, whose threads live."""
    last = threading.Timer(_LAST_ACT_SECONDS, os._exit, [os.EX_SOFTWARE])
    last.daemon = True
    last.start()
    try:
        released = pool.give_back()
    except MarketplaceError as error:
        _log.warning("jobs_not_given_back", reason=str(error))
        released = 0
    _log.critical("worker_gave_up", problems=problems, jobs_released=released)
    logging.shutdown()
    os._exit(os.EX_SOFTWARE)
