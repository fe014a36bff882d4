from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Row, insert, select, update
from standardwebhooks.webhooks import Webhook

from app.domain.jobs import EventType
from app.outbound import Outbound
from app.settings import OutboundSettings, WebhookSettings
from app.storage.clock import now_plus
from app.storage.deliveries import claim_deliveries, end_delivery
from app.storage.schema import deliveries, subscription_events, subscriptions
from tests.pipeline import Pipeline
from tests.receiver import Receiver, running_receiver
from worker.delivery import EventDelivery

SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as receiver:
        yield receiver


def subscribe(pipeline: Pipeline, url: str, *event_types: EventType) -> UUID:
    subscription_id = uuid4()
    with pipeline.database.write() as connection:
        connection.execute(
            insert(subscriptions).values(
                id=subscription_id, url=url, secret=SECRET, created_at=now_plus(), created_by="root"
            )
        )
        connection.execute(
            insert(subscription_events),
            [{"subscription_id": subscription_id, "event_type": event_type} for event_type in event_types],
        )
    return subscription_id


def delivery_of(pipeline: Pipeline, settings: WebhookSettings | None = None) -> EventDelivery:
    outbound = Outbound(OutboundSettings(), allow_private=True)
    return EventDelivery(
        pipeline.database, outbound, settings or WebhookSettings(), pipeline.metrics, owner="scheduler-1"
    )


def rows(pipeline: Pipeline) -> Sequence[Row[Any]]:
    with pipeline.database.read() as connection:
        return connection.execute(select(deliveries).order_by(deliveries.c.created_at)).all()


def make_due(pipeline: Pipeline) -> None:
    with pipeline.database.write() as connection:
        connection.execute(update(deliveries).values(next_attempt_at=now_plus(-1)))


def test_an_event_is_delivered_signed_after_standard_webhooks(pipeline: Pipeline, receiver: Receiver) -> None:
    subscribe(pipeline, receiver.url, EventType.COMPLETED, EventType.FAILED)
    job_id = pipeline.approved()
    pipeline.executor.run(job_id)

    assert delivery_of(pipeline).deliver_due() == 1

    (request,) = receiver.received
    verified = Webhook(SECRET).verify(request.body, {name.lower(): value for name, value in request.headers.items()})
    assert verified == json.loads(request.body)
    assert verified["type"] == "job:completed"
    assert verified["timestamp"].endswith("Z")
    assert verified["data"]["jobId"] == str(job_id)
    assert [row.status for row in rows(pipeline)] == ["delivered"]
    assert delivery_of(pipeline).deliver_due() == 0


def test_every_subscriber_gets_what_it_asked_for(pipeline: Pipeline, receiver: Receiver) -> None:
    subscribe(pipeline, receiver.url, *EventType)
    subscribe(pipeline, receiver.url, EventType.ENQUEUED)
    pipeline.executor.run(pipeline.approved())
    assert delivery_of(pipeline).deliver_due() == 4
    types = sorted(json.loads(request.body)["type"] for request in receiver.received)
    assert types == ["job:active", "job:completed", "job:enqueued", "job:enqueued"]


def test_a_refused_delivery_is_repeated_with_the_same_id(pipeline: Pipeline, receiver: Receiver) -> None:
    receiver.statuses = [500]
    subscribe(pipeline, receiver.url, EventType.ENQUEUED)
    pipeline.approved()
    delivery = delivery_of(pipeline)
    assert delivery.deliver_due() == 1
    (row,) = rows(pipeline)
    assert (row.status, row.attempt) == ("pending", 1)
    assert delivery.deliver_due() == 0
    make_due(pipeline)
    assert delivery.deliver_due() == 1
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1
    assert rows(pipeline)[0].status == "delivered"
    assert pipeline.value("marketplace_webhook_deliveries_total", outcome="retrying") == 1


def test_a_receiver_may_ask_for_more_time(pipeline: Pipeline, receiver: Receiver) -> None:
    receiver.statuses = [429]
    subscribe(pipeline, receiver.url, EventType.ENQUEUED)
    pipeline.approved()
    delivery_of(pipeline).deliver_due()
    (row,) = rows(pipeline)
    assert (row.next_attempt_at - row.created_at).total_seconds() > 100


def test_a_delivery_fails_for_good_after_its_last_attempt(pipeline: Pipeline, receiver: Receiver) -> None:
    receiver.statuses = [500, 500]
    subscribe(pipeline, receiver.url, EventType.ENQUEUED)
    pipeline.approved()
    delivery = delivery_of(pipeline, WebhookSettings(max_attempts=2))
    delivery.deliver_due()
    make_due(pipeline)
    delivery.deliver_due()
    make_due(pipeline)
    assert delivery.deliver_due() == 0
    assert rows(pipeline)[0].status == "failed"


def test_a_delivery_whose_process_died_is_taken_over_and_its_old_owner_shut_out(pipeline: Pipeline) -> None:
    subscribe(pipeline, "http://127.0.0.1:1/", EventType.ENQUEUED)
    pipeline.approved()
    claim = partial(claim_deliveries, lease_seconds=15, limit=10)
    with pipeline.database.write() as connection:
        (lost,) = claim(connection, owner="gone")
        assert claim(connection, owner="other") == []
    make_due(pipeline)
    with pipeline.database.write() as connection:
        (taken,) = claim(connection, owner="other")
        assert not end_delivery(connection, lost, error=None, retry_in_seconds=None)
        assert end_delivery(connection, taken, error=None, retry_in_seconds=None)


def test_a_scheduler_that_is_told_to_stop_begins_no_more_deliveries(pipeline: Pipeline, receiver: Receiver) -> None:
    subscribe(pipeline, receiver.url, EventType.ENQUEUED)
    for _ in range(5):
        pipeline.approved()
    answers = iter([True, False])
    assert delivery_of(pipeline, WebhookSettings(concurrency=2)).deliver_due(partial(next, answers)) == 2
    assert [row.status for row in rows(pipeline)].count("pending") == 3
