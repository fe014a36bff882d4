"""Delivery of events to webhook subscribers, signed after Standard Webhooks, at least once.

The event's id is the `webhook-id`, so that a receiver can drop repeats. https://www.standardwebhooks.com
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime

import structlog
from standardwebhooks.webhooks import Webhook

from app.domain.deadline import Deadline
from app.domain.errors import MarketplaceError, RecoverableError
from app.live_metrics import LiveMetrics
from app.metrics import DELIVERIES
from app.outbound import Outbound, raise_for_status
from app.settings import WebhookSettings
from app.storage.database import Database
from app.storage.deliveries import ClaimedDelivery, claim_deliveries, end_delivery

_log = structlog.stdlib.get_logger(__name__)

#: Pauses before the next attempt, in seconds; the last one repeats. Source: the schedule that Standard Webhooks
#: recommends (5 s, 5 min, 30 min, 2 h, 5 h, 10 h, ...), with one more early step.
RETRY_DELAYS_SECONDS = (5.0, 30.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0)


class EventDelivery:
    """Sends what is due; any number of processes may do so at once."""

    def __init__(
        self, database: Database, outbound: Outbound, settings: WebhookSettings, metrics: LiveMetrics, *, owner: str
    ) -> None:
        self._database = database
        self._outbound = outbound
        self._settings = settings
        self._metrics = metrics
        self._owner = owner

    def deliver_due(self, go_on: Callable[[], bool] = lambda: True) -> int:
        """Attempt every delivery that is due, several at once; return how many attempts were made.

        `go_on` is asked before each round of them.

        Raises:
            DatabaseUnavailableError: Deliveries could not be claimed, or how one ended is not written: it is repeated.
        """
        attempts = 0
        with ThreadPoolExecutor(self._settings.concurrency, thread_name_prefix="delivery") as pool:
            while go_on() and (claimed := self._claim()):
                attempts += len(claimed)
                done, _ = wait([pool.submit(self._deliver, delivery) for delivery in claimed])
                for future in done:
                    future.result()
        return attempts

    def _claim(self) -> list[ClaimedDelivery]:
        with self._database.write() as connection:
            return list(
                claim_deliveries(
                    connection,
                    owner=self._owner,
                    lease_seconds=self._settings.timeout_seconds + 5,
                    limit=self._settings.concurrency,
                )
            )

    def _deliver(self, delivery: ClaimedDelivery) -> None:
        error = self._attempt(delivery)
        delay = None if error is None else self._delay(delivery, error)
        with self._database.write() as connection:
            end_delivery(connection, delivery, error=None if error is None else str(error), retry_in_seconds=delay)
        outcome = "delivered" if error is None else "failed" if delay is None else "retrying"
        self._metrics.count(DELIVERIES, outcome=outcome)
        if error is not None:
            log = _log.error if delay is None else _log.warning
            log(
                "delivery_failed",
                event_id=str(delivery.event_id),
                delivery_id=str(delivery.delivery_id),
                attempt=delivery.attempt,
                error_code=error.code,
                retry_in_seconds=delay,
            )

    def _attempt(self, delivery: ClaimedDelivery) -> MarketplaceError | None:
        body = json.dumps(
            {
                "type": delivery.event_type,
                "timestamp": delivery.event_at.isoformat().replace("+00:00", "Z"),
                "data": delivery.data,
            },
            ensure_ascii=False,
            separators=(",", ":"),
        )
        sent_at = datetime.now(UTC)
        signature = Webhook(delivery.secret).sign(str(delivery.event_id), sent_at, body)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": str(delivery.event_id),
            "webhook-timestamp": str(int(sent_at.timestamp())),
            "webhook-signature": signature,
        }
        try:
            deadline = Deadline.after(self._settings.timeout_seconds)
            reply = self._outbound.post(delivery.url, body.encode(), headers, deadline, head_only=True)
            raise_for_status(reply)
        except MarketplaceError as error:
            return error
        return None

    def _delay(self, delivery: ClaimedDelivery, error: MarketplaceError) -> float | None:
        if delivery.attempt >= self._settings.max_attempts:
            return None
        delay = RETRY_DELAYS_SECONDS[min(delivery.attempt, len(RETRY_DELAYS_SECONDS)) - 1]
        asked = error.retry_after_seconds if isinstance(error, RecoverableError) else None
        return max(delay, asked or 0.0)
