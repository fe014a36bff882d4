"""Deliveries of events to webhook subscribers: the job protocol in small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, select, update

from app.storage.clock import now_plus
from app.storage.schema import deliveries, events, subscriptions


@dataclass(frozen=True)
class ClaimedDelivery:
    """A delivery that this process may attempt now; `fence` goes into the write that ends the attempt."""

    delivery_id: UUID
    fence: int
    #: This attempt's number, from 1.
    attempt: int
    event_id: UUID
    event_type: str
    event_at: datetime
    data: Mapping[str, Any]
    url: str
    secret: str


def claim_deliveries(
    connection: Connection, *, owner: str, lease_seconds: float, limit: int
) -> Sequence[ClaimedDelivery]:
    """Take up to `limit` deliveries that are due, oldest first; those of dead processes are due again."""
    due = connection.scalars(
        select(deliveries.c.id).where(*_due()).order_by(deliveries.c.next_attempt_at).limit(limit)
    ).all()
    claimed = []
    for delivery_id in due:
        row = connection.execute(
            update(deliveries)
            .where(deliveries.c.id == delivery_id, *_due())
            .values(
                status="active",
                attempt=deliveries.c.attempt + 1,
                fence=deliveries.c.fence + 1,
                lease_owner=owner,
                lease_until_at=now_plus(lease_seconds),
                # An attempt whose process dies is due again when its lease ends.
                next_attempt_at=now_plus(lease_seconds),
            )
            .returning(deliveries.c.fence, deliveries.c.attempt, deliveries.c.event_id, deliveries.c.subscription_id)
        ).one_or_none()
        if row is None:
            continue
        event = connection.execute(select(events).where(events.c.id == row.event_id)).one()
        target = connection.execute(select(subscriptions).where(subscriptions.c.id == row.subscription_id)).one()
        claimed.append(
            ClaimedDelivery(
                delivery_id=delivery_id,
                fence=row.fence,
                attempt=row.attempt,
                event_id=event.id,
                event_type=event.type,
                event_at=event.created_at,
                data=event.data,
                url=target.url,
                secret=target.secret,
            )
        )
    return claimed


def end_delivery(
    connection: Connection,
    delivery: ClaimedDelivery,
    *,
    error: str | None,
    retry_in_seconds: float | None,
) -> bool:
    """Write how an attempt ended; False when it was no longer ours.

    No `error` means delivered; else it is due again after `retry_in_seconds`, or with None failed for good.
    """
    delivered = error is None
    again = not delivered and retry_in_seconds is not None
    return (
        connection.execute(
            update(deliveries)
            .where(
                deliveries.c.id == delivery.delivery_id,
                deliveries.c.fence == delivery.fence,
                deliveries.c.status == "active",
            )
            .values(
                status="delivered" if delivered else "pending" if again else "failed",
                error_message=error,
                delivered_at=now_plus() if delivered else None,
                next_attempt_at=now_plus(retry_in_seconds or 0.0),
                lease_owner=None,
                lease_until_at=None,
            )
        ).rowcount
        == 1
    )


def give_back_deliveries(connection: Connection, owner: str) -> int:
    """Make every delivery that a dead owner was at due now; returns how many."""
    return connection.execute(
        update(deliveries)
        .where(deliveries.c.status == "active", deliveries.c.lease_owner == owner)
        .values(status="pending", next_attempt_at=now_plus(), lease_owner=None, lease_until_at=None)
    ).rowcount


def _due() -> tuple[ColumnElement[bool], ...]:
    return deliveries.c.status.in_(["pending", "active"]), deliveries.c.next_attempt_at <= now_plus()
