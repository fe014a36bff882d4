from __future__ import annotations

import base64
from uuid import uuid4

from sqlalchemy import select

from app.domain.roles import Role
from app.storage.schema import audit_log, deliveries
from app.webhooks import MAX_SUBSCRIPTIONS
from tests.api import Api, fields_of, problem_of

WEBHOOKS = "/api/marketplace/webhooks"
URL = "http://127.0.0.1:9/hook"


def subscribed(api: Api, **body: object) -> dict[str, str]:
    """Return the answer to a subscription."""
    answer = api.call("POST", WEBHOOKS, json={"url": URL, **body})
    assert answer.status_code == 201, answer.get_data(as_text=True)
    created: dict[str, str] = answer.get_json()
    return created


def test_the_secret_is_shown_once_and_is_one_of_standard_webhooks(api: Api) -> None:
    created = subscribed(api, events=["job:failed", "job:completed", "job:failed"])
    prefix, _, secret = created["secret"].partition("_")
    assert prefix == "whsec"
    assert len(base64.b64decode(secret, validate=True)) == 32
    listed = api.get(WEBHOOKS, Role.ADMIN)
    assert "whsec" not in listed.get_data(as_text=True)
    (webhook,) = listed.get_json()["items"]
    assert webhook["events"] == ["job:completed", "job:failed"]
    assert (webhook["webhookId"], webhook["url"], webhook["createdBy"]) == (created["webhookId"], URL, "admin")


def test_without_events_it_is_told_of_all_of_them(api: Api) -> None:
    subscribed(api)
    (webhook,) = api.get(WEBHOOKS, Role.ADMIN).get_json()["items"]
    assert webhook["events"] == ["job:active", "job:completed", "job:enqueued", "job:failed"]


def test_an_event_is_put_down_for_its_subscribers_only(api: Api) -> None:
    enqueued = subscribed(api, events=["job:enqueued"])
    subscribed(api, events=["job:failed"])
    api.approved()
    with api.runtime.database.read() as connection:
        found = connection.scalars(select(deliveries.c.subscription_id)).all()
    assert [str(subscription) for subscription in found] == [enqueued["webhookId"]]


def test_a_subscription_is_deleted_with_what_was_not_delivered(api: Api) -> None:
    webhook = subscribed(api)
    api.approved()
    path = f"{WEBHOOKS}/{webhook['webhookId']}"
    answer = api.call("DELETE", path)
    assert (answer.status_code, answer.get_data()) == (204, b"")
    assert api.call("DELETE", path).status_code == 404
    with api.runtime.database.read() as connection:
        assert connection.execute(select(deliveries)).all() == []
        actions = connection.scalars(select(audit_log.c.action).where(audit_log.c.target_type == "webhook")).all()
    assert sorted(actions) == ["webhook.subscribe", "webhook.unsubscribe"]


def test_the_audit_log_keeps_the_host_and_no_secret_of_an_address(api: Api) -> None:
    subscribed(api, url="http://127.0.0.1:9/hook?key=secret")
    with api.runtime.database.read() as connection:
        details = connection.scalars(select(audit_log.c.details).where(audit_log.c.target_type == "webhook")).one()
    assert details["host"] == "127.0.0.1"
    assert "secret" not in repr(details)


def test_a_private_address_is_refused_unless_the_settings_allow_it(sqlite_api: Api) -> None:
    sqlite_api.runtime.webhooks_outbound._resolver._allow_private = False
    for url in ("http://127.0.0.1/", "http://169.254.169.254/latest/meta-data", "http://[::1]/", "http://10.0.0.1/"):
        before = sqlite_api.digest()
        answer = sqlite_api.call("POST", WEBHOOKS, json={"url": url})
        assert (answer.status_code, fields_of(answer)) == (422, ["url"]), url
        assert sqlite_api.digest() == before


def test_there_is_a_limit_of_subscriptions(sqlite_api: Api) -> None:
    for _ in range(MAX_SUBSCRIPTIONS):
        subscribed(sqlite_api)
    answer = sqlite_api.call("POST", WEBHOOKS, json={"url": URL})
    assert (answer.status_code, problem_of(answer)["code"]) == (409, "conflict")


def test_an_unknown_subscription_is_not_found(api: Api) -> None:
    assert api.call("DELETE", f"{WEBHOOKS}/{uuid4()}").status_code == 404


def test_subscription_pages_join(api: Api) -> None:
    created = {subscribed(api)["webhookId"] for _ in range(3)}
    first = api.get(f"{WEBHOOKS}?limit=2", Role.ADMIN).get_json()
    second = api.get(f"{WEBHOOKS}?limit=2&cursor={first['nextCursor']}", Role.ADMIN).get_json()
    assert {webhook["webhookId"] for webhook in first["items"] + second["items"]} == created
    assert second["nextCursor"] is None
