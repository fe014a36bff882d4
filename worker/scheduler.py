"""Entry of the scheduler process: the sweeper, and the delivery of events. Any number may run."""

from __future__ import annotations

import os
import secrets
import socket
import threading

import click
import structlog
from prometheus_client import start_http_server

from app.logs import configure_logs
from app.runtime import build_runtime
from app.settings import load_settings
from worker.chores import Chore, do_chores
from worker.delivery import EventDelivery
from worker.schema_wait import wait_for_schema
from worker.signals import stop_event
from worker.sweeper import Sweeper

_log = structlog.stdlib.get_logger(__name__)


@click.command
def scheduler() -> None:
    """Send due hints, recover lost jobs, deliver events."""
    settings = load_settings()
    configure_logs(settings.log)
    stop = stop_event()
    runtime = build_runtime(settings, "fail_fast")
    if not wait_for_schema(runtime.database, stop):
        return
    jobs, metrics = settings.jobs, runtime.metrics
    sweeper = Sweeper(runtime.database, runtime.hints, runtime.recovery, jobs, metrics)
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    delivery = EventDelivery(runtime.database, runtime.webhooks_outbound, settings.webhooks, metrics, owner=owner)
    if settings.scheduler.metrics_port:
        start_http_server(settings.scheduler.metrics_port, settings.scheduler.metrics_host, metrics.registry)
    delivering = threading.Thread(
        target=do_chores,
        args=([Chore("deliver", settings.webhooks.poll_seconds, delivery.deliver_due)], stop, metrics),
        kwargs={"place": "delivery"},
    )
    delivering.start()
    _log.info("scheduler_started", pid=os.getpid())
    sweeping = [
        Chore("reconcile", jobs.reconcile_seconds, sweeper.reconcile),
        Chore("reap", jobs.reap_seconds, sweeper.reap),
        Chore("dispatch", jobs.tick_seconds, sweeper.dispatch),
    ]
    do_chores(sweeping, stop, metrics, place="sweeper")
    delivering.join()
    runtime.close()
    _log.info("scheduler_stopped")
