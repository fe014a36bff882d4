"""Webhook subscriptions: who is told of which events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID, uuid4

from sqlalchemy import Connection, delete, func, insert, select

from app.domain.jobs import EventType
from app.storage.clock import now_plus
from app.storage.paging import Page, PageRequest, fetch_page
from app.storage.schema import subscription_events, subscriptions


def insert_subscription(
    connection: Connection, *, url: str, secret: str, events: Sequence[EventType], created_by: str
) -> UUID:
    """Insert a subscription to these events (at least one, each once) and return its id."""
    subscription_id = uuid4()
    connection.execute(
        insert(subscriptions).values(
            id=subscription_id, url=url, secret=secret, created_at=now_plus(), created_by=created_by
        )
    )
    connection.execute(
        insert(subscription_events),
        [{"subscription_id": subscription_id, "event_type": event} for event in events],
    )
    return subscription_id


def count_subscriptions(connection: Connection) -> int:
    """Return how many subscriptions there are."""
    return connection.scalar(select(func.count()).select_from(subscriptions)) or 0


def delete_subscription(connection: Connection, subscription_id: UUID) -> bool:
    """Delete a subscription with its deliveries; False when there is none."""
    return connection.execute(delete(subscriptions).where(subscriptions.c.id == subscription_id)).rowcount == 1


def subscriptions_page(connection: Connection, request: PageRequest) -> Page:
    """Return subscriptions without their secrets, newest first."""
    columns = [column for column in subscriptions.c if column.name != "secret"]
    return fetch_page(connection, select(*columns), request, by=subscriptions.c.created_at, row_id=subscriptions.c.id)


def events_of(connection: Connection, subscription_ids: Sequence[UUID]) -> Mapping[UUID, list[EventType]]:
    """Return the events that each of these subscriptions asked for."""
    events: dict[UUID, list[EventType]] = {subscription_id: [] for subscription_id in subscription_ids}
    for row in connection.execute(
        select(subscription_events)
        .where(subscription_events.c.subscription_id.in_(subscription_ids))
        .order_by(subscription_events.c.event_type)
    ):
        events[row.subscription_id].append(EventType(row.event_type))
    return events
