"""Webhook subscriptions: who is told of which events, at which address."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from app.domain.errors import ConflictError, InvalidInputError, NotFoundError
from app.domain.jobs import EventType
from app.domain.roles import Actor
from app.storage import webhooks as storage
from app.storage.audit import record_audit
from app.storage.database import Database
from app.storage.paging import PageRequest

#: Every event is written once for each of its subscribers, in the transaction that it reports.
MAX_SUBSCRIPTIONS = 100


@dataclass(frozen=True)
class Subscription:
    """A subscription; its secret is not told again."""

    id: UUID
    url: str
    events: Sequence[EventType]
    created_at: datetime
    created_by: str


@dataclass(frozen=True)
class NewSubscription:
    """What a subscriber must keep: the secret, to check signatures with (Standard Webhooks, `whsec_...`)."""

    id: UUID
    secret: str


class Webhooks:
    """Subscriptions; safe to use from many threads.

    `check_target` raises InvalidInputError for an address that may not be called.
    """

    def __init__(self, database: Database, check_target: Callable[[str], None]) -> None:
        self._database = database
        self._check_target = check_target

    def subscribe(self, url: str, events: Sequence[EventType], *, by: Actor, request_id: str | None) -> NewSubscription:
        """Subscribe an address to events.

        Raises:
            InvalidInputError: The address may not be called; the field is `url`.
            ConflictError: There are `MAX_SUBSCRIPTIONS` already.
        """
        try:
            self._check_target(url)
        except InvalidInputError as error:
            raise InvalidInputError("url", error.message) from error
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        with self._database.write() as connection:
            if storage.count_subscriptions(connection) >= MAX_SUBSCRIPTIONS:
                raise ConflictError(f"there are {MAX_SUBSCRIPTIONS} subscriptions already: delete one first")
            subscription_id = storage.insert_subscription(
                connection, url=url, secret=secret, events=sorted(set(events)), created_by=by.name
            )
            record_audit(
                connection,
                actor=by.name,
                action="webhook.subscribe",
                target_type="webhook",
                target_id=subscription_id,
                # The host only: the rest of an address may carry a secret of the subscriber.
                details={"host": urlsplit(url).hostname, "events": sorted(set(events))},
                request_id=request_id,
            )
        return NewSubscription(subscription_id, secret)

    def unsubscribe(self, subscription_id: UUID, *, by: Actor, request_id: str | None) -> None:
        """Delete a subscription, and with it what has not been delivered.

        Raises:
            NotFoundError: There is none.
        """
        with self._database.write() as connection:
            if not storage.delete_subscription(connection, subscription_id):
                raise NotFoundError("there is no such subscription")
            record_audit(
                connection,
                actor=by.name,
                action="webhook.unsubscribe",
                target_type="webhook",
                target_id=subscription_id,
                request_id=request_id,
            )

    def list(self, request: PageRequest) -> tuple[Sequence[Subscription], str | None]:
        """Return one page of subscriptions, newest first, and the cursor of the next."""
        with self._database.read() as connection:
            page = storage.subscriptions_page(connection, request)
            events = storage.events_of(connection, [row.id for row in page.rows])
        return [
            Subscription(row.id, row.url, events[row.id], row.created_at, row.created_by) for row in page.rows
        ], page.next_cursor
