"""Delivery: brings what waits in the outbox to Slack, in a thread for each route, so that none waits for another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from random import Random
from typing import TypeAlias

import structlog

from alerting.slack import waiting
from alerting.slack.client import Slack
from alerting.slack.log_only import LogOnly
from alerting.slack.outbox import backlog
from alerting.slack.route_sender import IDLE_SECONDS, RouteSender
from alerting.slack.routes import Route, routes_of
from alerting.slack.second_route import SecondRoute
from alerting.store import Store
from app.live_metrics import LiveMetrics
from app.metrics import ERRORS, RELAY_OLDEST, RELAY_SLACK_UP, RELAY_WAITING
from app.outbound import Outbound
from app.settings import OutboundSettings, RelaySettings

_log = structlog.stdlib.get_logger(__name__)

Sender: TypeAlias = RouteSender | LogOnly

#: For how long messages are kept that Slack has taken, or that were set aside.
KEEP_SECONDS = 7 * 24 * 3600.0

_CLEAN_EVERY_SECONDS = 60.0
_CLEAN_BATCH = 1000
_WATCH_EVERY_SECONDS = 1.0


class Delivery:
    """Sends what waits, from `start` to `stop`.

    `outbound` brings the certificate authorities of the product's other calls; `now` is in seconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        settings: RelaySettings,
        metrics: LiveMetrics,
        *,
        outbound: Outbound | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._settings = settings
        self._metrics = metrics
        self._now = now
        # The operator gives the addresses: a proxy to Slack may well be in a private network.
        self._outbound = outbound or Outbound(OutboundSettings(), allow_private=True)
        self._routes = routes_of(settings)
        self._stopping = threading.Event()
        self._wakes = [threading.Event() for _ in self._routes]
        self._senders: list[Sender] = []
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Take up what the last run left, and begin to send.

        Raises:
            DatabaseUnavailableError: The file cannot be used.
        """
        with self._store.write() as connection:
            interrupted = waiting.recover(connection)
        if interrupted:
            _log.warning("messages_may_repeat", messages=interrupted)
        self._senders = [self._sender(route) for route in self._routes]
        self._metrics.set(RELAY_SLACK_UP, 1)
        self._threads = [
            threading.Thread(target=self._run, args=(sender, wake), name=f"slack {sender.route.name}", daemon=True)
            for sender, wake in zip(self._senders, self._wakes, strict=True)
        ]
        self._threads.append(threading.Thread(target=self._watch, name="slack watch", daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the calls that are being made; what still waits is sent after the next start."""
        self._stopping.set()
        self.wake()
        end = time.monotonic() + self._settings.slack_timeout_seconds * 2 + 1
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def wake(self) -> None:
        """Send a message that was just committed at once; any thread may call it."""
        for wake in self._wakes:
            wake.set()

    def problems(self) -> list[str]:
        """Return what only a restart mends; an outage of Slack is none."""
        dead = [thread.name for thread in self._threads if not thread.is_alive()]
        return [] if self._stopping.is_set() else [f"the thread {name!r} has ended" for name in dead]

    def outages(self) -> list[str]:
        """Return what keeps messages from Slack now, in words without secrets; nothing when all is well."""
        return [
            f"Slack does not take messages of severity {sender.route.name}: {sender.problem}"
            for sender in self._senders
            if sender.problem is not None
        ]

    def _sender(self, route: Route) -> Sender:
        if route.destination is None:
            _log.warning("slack_not_configured", severities=route.name, advice="these messages are only logged")
            return LogOnly(self._store, route, self._metrics, now=self._now)
        slack = Slack(self._outbound, timeout_seconds=self._settings.slack_timeout_seconds)
        return RouteSender(
            self._store,
            route,
            route.destination,
            slack,
            self._settings,
            self._metrics,
            now=self._now,
            random=Random(),  # noqa: S311 -- pauses, nothing secret
        )

    def _run(self, sender: Sender, wake: threading.Event) -> None:
        while not self._stopping.is_set():
            wake.clear()
            pause = IDLE_SECONDS
            try:
                pause = sender.step()
            except Exception:  # noqa: BLE001 -- the edge of the thread: it must go on
                self._count_unexpected("delivery_failed", sender.route)
                self._stopping.wait(IDLE_SECONDS)
            if pause:
                wake.wait(min(pause, IDLE_SECONDS))

    def _watch(self) -> None:
        """Tell how much waits, tell the second URL of outages, and delete what is old."""
        url = self._settings.second_url
        timeout = self._settings.slack_timeout_seconds
        second = None
        if url is not None:
            second = SecondRoute(self._store, self._outbound, url, timeout_seconds=timeout, now=self._now)
        real = [route for route in self._routes if route.destination is not None]
        clean_at = time.monotonic()
        while not self._stopping.is_set():
            try:
                self._measure()
                if second is not None:
                    for route in real:
                        second.tell(route)
                if time.monotonic() >= clean_at and not self._clean():
                    clean_at = time.monotonic() + _CLEAN_EVERY_SECONDS
            except Exception:  # noqa: BLE001 -- as above
                self._count_unexpected("delivery_watch_failed", None)
            self._stopping.wait(_WATCH_EVERY_SECONDS)

    def _measure(self) -> None:
        with self._store.read() as connection:
            waits = backlog(connection)
        self._metrics.set(RELAY_WAITING, waits.messages)
        self._metrics.set(RELAY_OLDEST, waits.oldest_seconds(self._now()))
        self._metrics.set(RELAY_SLACK_UP, float(all(sender.problem is None for sender in self._senders)))

    def _clean(self) -> bool:
        """Delete some of what is old; True when there may be more."""
        with self._store.write() as connection:
            before = self._now() - KEEP_SECONDS
            return waiting.delete_old(connection, before=before, most=_CLEAN_BATCH) == _CLEAN_BATCH

    def _count_unexpected(self, event: str, route: Route | None) -> None:
        _log.exception(event, route=None if route is None else route.name)
        self._metrics.count(ERRORS, place="relay_delivery")
