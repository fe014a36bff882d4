"""Entry of the scheduler process: the sweeper, and the delivery of events and notices. Any number may run."""

from __future__ import annotations

import logging
import os
import threading
from functools import partial

import click
import structlog

from app.domain.jobs import QUARANTINE_QUEUES, QUEUES
from app.domain.processes import ProcessRole
from app.failpoints import FAILPOINT_VARIABLE, arm_failpoints
from app.logs import configure_logs
from app.outbound import Outbound
from app.pulse import Pulse
from app.runtime import Runtime, build_runtime
from app.schema_wait import wait_for_schema
from app.settings import load_settings
from app.stop_signals import stop_event
from worker.chores import Chore, Place, do_chores
from worker.dead_messages import DeadMessages
from worker.delivery import EventDelivery
from worker.fallback import Fallback
from worker.notices import POLL_SECONDS, TIDY_SECONDS, NoticeDelivery
from worker.probes import serve_probes
from worker.stuck_watch import StuckWatch
from worker.sweeper import Sweeper

_log = structlog.stdlib.get_logger(__name__)

#: A loop that has not gone on for so long hangs: with the database locked and Redis slow, a chore may take half of it.
_LIMIT_SECONDS = 60.0


@click.command
def scheduler() -> None:
    """Send due hints, recover lost jobs, deliver events; run due jobs while Redis is away."""
    settings = load_settings(ignoring=FAILPOINT_VARIABLE)
    configure_logs(settings.log)
    arm_failpoints(ProcessRole.SCHEDULER)
    stop = stop_event()
    runtime = build_runtime(settings, ProcessRole.SCHEDULER, "fail_fast")
    jobs, metrics = settings.jobs, runtime.metrics
    pulses: dict[str, Pulse] = {}

    def problems() -> list[str]:
        return [f"{name} hangs" for name, pulse in pulses.items() if not pulse.is_felt]

    started = threading.Event()
    if settings.scheduler.metrics_port:
        # Before the database is there: whoever looks after this process must see that it lives.
        serve_probes(
            settings.scheduler.metrics_host,
            settings.scheduler.metrics_port,
            metrics.registry,
            problems,
            has_started=started.is_set,
        )
    if not wait_for_schema(runtime.database, stop):
        return
    runtime.breakers.start()
    sweeper = Sweeper(
        runtime.database,
        runtime.hints,
        runtime.recovery,
        jobs,
        metrics,
        calls_kept_seconds=settings.timeouts.calls_kept_seconds,
    )
    fallback = Fallback(
        runtime.database,
        runtime.executor,
        settings.scheduler,
        metrics,
        redis_away_seconds=lambda: sweeper.redis_away_seconds,
    )
    delivery = EventDelivery(
        runtime.database, runtime.webhooks_outbound, settings.webhooks, metrics, owner=runtime.presence.owner
    )
    notices = _notice_delivery(runtime)
    sweep_pulse, delivery_pulse = Pulse(_LIMIT_SECONDS), Pulse(_LIMIT_SECONDS + settings.webhooks.timeout_seconds)
    watch_pulse, notices_pulse = Pulse(_LIMIT_SECONDS), Pulse(_LIMIT_SECONDS)
    pulses |= {
        "the sweeper": sweep_pulse,
        "the delivery of events": delivery_pulse,
        "the watch for stuck plans": watch_pulse,
    }
    if notices is not None:
        pulses["the delivery of notices"] = notices_pulse

    runtime.membership.join(is_well=lambda: not problems())

    def go_on(pulse: Pulse) -> bool:
        pulse()
        return not stop.is_set()

    def start(place: Place, pulse: Pulse, *chores: Chore) -> threading.Thread:
        thread = threading.Thread(
            target=do_chores, args=(chores, stop, metrics), kwargs={"place": place, "pulse": pulse}
        )
        thread.start()
        return thread

    deliver_due = partial(delivery.deliver_due, partial(go_on, delivery_pulse))
    watch = StuckWatch(runtime.database, runtime.recovery, jobs, metrics)
    threads = [
        start("delivery", delivery_pulse, Chore("deliver", settings.webhooks.poll_seconds, deliver_due)),
        start("watch", watch_pulse, Chore("watch", jobs.watch_seconds, watch.look)),
    ]
    if notices is not None:
        # A relay that cannot be reached delays no subscriber, nor the other way round.
        notify_due = partial(notices.deliver_due, partial(go_on, notices_pulse))
        chores = Chore("notify", POLL_SECONDS, notify_due), Chore("tidy_notices", TIDY_SECONDS, notices.tidy)
        threads.append(start("notices", notices_pulse, *chores))
    started.set()
    _log.info("scheduler_started", pid=os.getpid())
    dead_messages = DeadMessages(runtime.database, runtime.hints, metrics)
    queues = (*QUEUES.values(), *QUARANTINE_QUEUES.values())
    sweeping = [
        Chore("reconcile", jobs.reconcile_seconds, sweeper.reconcile),
        Chore("reap", jobs.reap_seconds, sweeper.reap),
        # Before the dispatch, which so announces at once what a dead process held.
        Chore("give_back", jobs.tick_seconds, runtime.membership.give_back_dead),
        Chore("dispatch", jobs.tick_seconds, sweeper.dispatch),
        Chore("finish_drains", jobs.tick_seconds, runtime.controls.finish_drains),
        Chore("collect", jobs.reconcile_seconds, lambda: dead_messages.collect(queues)),
        Chore("fallback", jobs.tick_seconds, fallback.run_due),
    ]
    do_chores(sweeping, stop, metrics, place="sweeper", pulse=sweep_pulse)
    all_ended = fallback.stop()
    for thread in threads:
        thread.join()
    runtime.close()
    _log.info("scheduler_stopped")
    if not all_ended:
        # The threads of released jobs may wait for an agent until their deadline; nothing they do counts any more.
        logging.shutdown()
        os._exit(0)


def _notice_delivery(runtime: Runtime) -> NoticeDelivery | None:
    """Return what tells the relay, None without one.

    Raises:
        ConfigurationError: There is a relay, and no secret to sign with.
    """
    settings = runtime.settings
    if settings.relay.url is None:
        return None
    return NoticeDelivery(
        runtime.database,
        # The address is the operator's own, and mostly a private one.
        Outbound(settings.outbound, allow_private=True),
        runtime.metrics,
        relay_url=settings.relay.url,
        secret=settings.relay.events_secret,
        owner=runtime.presence.owner,
    )
