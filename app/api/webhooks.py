"""Webhook subscriptions, for administrators."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response
from pydantic import Field, StringConstraints

from app.api.access import caller
from app.api.observation import request_id
from app.api.operation import operation
from app.api.shapes import Answer, PageQuestion, Question, UtcTime
from app.api.wiring import runtime
from app.domain.jobs import EventType
from app.domain.roles import Role

webhooks = APIBlueprint("webhooks", __name__, url_prefix="/api/marketplace/webhooks")


class WebhookRequest(Question):
    """Where events go, and which; all of them when `events` is left out."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    events: list[EventType] = Field(min_length=1, max_length=len(EventType), default_factory=lambda: list(EventType))


class WebhookCreated(Answer):
    """The subscription, and the secret that deliveries are signed with: it is shown this once."""

    webhook_id: UUID
    secret: str


class Webhook(Answer):
    """A subscription."""

    webhook_id: UUID
    url: str
    events: list[EventType]
    created_at: UtcTime
    created_by: str


class WebhookList(Answer):
    """One page of subscriptions."""

    items: list[Webhook]
    next_cursor: str | None


@operation(
    webhooks,
    "POST",
    "",
    access=Role.ADMIN,
    body=WebhookRequest,
    answers={201: WebhookCreated},
    own_problems=(HTTPStatus.CONFLICT,),
)
def create_webhook(body: WebhookRequest) -> WebhookCreated:
    """Subscribe an address to events of jobs; deliveries are signed after Standard Webhooks."""
    created = runtime().webhooks.subscribe(body.url, body.events, by=caller(), request_id=request_id())
    return WebhookCreated(webhook_id=created.id, secret=created.secret)


@operation(webhooks, "GET", "", access=Role.ADMIN, query=PageQuestion, answers={200: WebhookList})
def list_webhooks(query: PageQuestion) -> WebhookList:
    """List subscriptions, newest first."""
    found, next_cursor = runtime().webhooks.list(query.page())
    return WebhookList(
        items=[
            Webhook(
                webhook_id=subscription.id,
                url=subscription.url,
                events=list(subscription.events),
                created_at=subscription.created_at,
                created_by=subscription.created_by,
            )
            for subscription in found
        ],
        next_cursor=next_cursor,
    )


@operation(
    webhooks,
    "DELETE",
    "/<webhook_id>",
    access=Role.ADMIN,
    answers={204: ()},
    own_problems=(HTTPStatus.NOT_FOUND,),
)
def delete_webhook(webhook_id: UUID) -> Response:
    """Delete a subscription, and what has not been delivered to it."""
    runtime().webhooks.unsubscribe(webhook_id, by=caller(), request_id=request_id())
    return Response(status=HTTPStatus.NO_CONTENT)
