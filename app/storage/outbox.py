"""Events, written only inside the transaction that they report, and their deliveries to subscribers."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID, uuid5

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from app.domain.jobs import EventType
from app.storage.clock import now_plus
from app.storage.database import Database
from app.storage.schema import deliveries, events, subscription_events

#: Name space of event and delivery ids: they follow from what they report, so that a repeated write is the same row.
_IDS = UUID("8c2f9c1c-6a5d-4d0e-9d2a-3f1f6b0a7e54")


def event_id(job_id: UUID, fence: int, event_type: EventType) -> UUID:
    """Return the id of the one event of this type that the run with this fence can cause."""
    return uuid5(_IDS, f"{job_id}:{fence}:{event_type}")


def record_event(
    database: Database,
    connection: Connection,
    event_type: EventType,
    *,
    job_id: UUID,
    plan_id: UUID,
    fence: int,
    data: Mapping[str, object],
) -> None:
    """Write one event, and one pending delivery for each of its subscribers, in the caller's transaction.

    `data` is JSON in camelCase, ready to be sent. Writing the same event again changes nothing.
    """
    identity = event_id(job_id, fence, event_type)
    connection.execute(
        _INSERT_EVENT[database.dialect],
        {"id": identity, "type": event_type, "job_id": job_id, "plan_id": plan_id, "data": dict(data)},
    )
    subscribers = connection.scalars(_SUBSCRIBERS, {"the_type": event_type}).all()
    if subscribers:
        connection.execute(
            database.insert(deliveries)
            .values(next_attempt_at=now_plus(), created_at=now_plus())
            .on_conflict_do_nothing(),
            [
                {
                    "id": uuid5(_IDS, f"{identity}:{subscriber}"),
                    "event_id": identity,
                    "subscription_id": subscriber,
                    "status": "pending",
                }
                for subscriber in subscribers
            ],
        )


# Every job writes several events: these statements are built once.
_INSERT_EVENT = {
    name: dialect.insert(events).values(created_at=now_plus()).on_conflict_do_nothing()
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}
_SUBSCRIBERS = select(subscription_events.c.subscription_id).where(
    subscription_events.c.event_type == bindparam("the_type")
)
