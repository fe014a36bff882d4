"""Delivery of notices to the relay, over real HTTP."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import Row, insert, select, update
from standardwebhooks.webhooks import Webhook
from structlog.testing import capture_logs

from app.domain.alerts import CIRCUIT_OPENED
from app.domain.errors import ConfigurationError
from app.domain.notices import Notice
from app.live_metrics import LiveMetrics
from app.outbound import Outbound
from app.pulse import Pulse
from app.settings import DatabaseSettings, OutboundSettings
from app.storage.clock import now_plus
from app.storage.database import Database
from app.storage.notice_deliveries import claim_notices, end_notice, give_back_notices, put_back_notice, waiting_notices
from app.storage.notices import notice_id, tell_firing, tell_resolved
from app.storage.schema import notices
from tests.receiver import Receiver, running_receiver
from tests.servers import wait_until
from worker.chores import Chore, do_chores
from worker.notices import POLL_SECONDS, NoticeDelivery

SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


@pytest.fixture
def told(database_url: str) -> Iterator[Database]:
    """Return a database that keeps notices."""
    database = Database(DatabaseSettings(url=SecretStr(database_url)), notices_of="test")
    yield database
    database.close()


@pytest.fixture
def relay() -> Iterator[Receiver]:
    with running_receiver() as receiver:
        yield receiver


@pytest.fixture
def metrics() -> LiveMetrics:
    return LiveMetrics(agents=["amazon"])


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def delivery_to(
    relay: Receiver, database: Database, metrics: LiveMetrics, clock: Clock | None = None, *, secret: str = SECRET
) -> NoticeDelivery:
    return NoticeDelivery(
        database,
        Outbound(OutboundSettings(), allow_private=True),
        metrics,
        relay_url=relay.url.removesuffix("/hook"),
        secret=SecretStr(secret),
        owner="scheduler-1",
        monotonic=clock or Clock(),
    )


def open_circuit(database: Database, agent: str = "amazon") -> None:
    with database.write() as connection:
        tell_firing(
            connection,
            notice_id(uuid4()),
            CIRCUIT_OPENED,
            {"agent": agent},
            summary=f"{agent} is away",
            action="Calls are refused.",
            agent=agent,
            error="<!channel> no answer",
        )


def close_circuit(database: Database, agent: str = "amazon") -> None:
    with database.write() as connection:
        tell_resolved(connection, CIRCUIT_OPENED, {"agent": agent}, summary=f"{agent} is back")


def rows(database: Database) -> list[Row[Any]]:
    with database.read() as connection:
        return list(connection.execute(select(notices).order_by(notices.c.number)).all())


def change(database: Database, **values: Any) -> None:
    with database.write() as connection:
        connection.execute(update(notices).values(**values))


def make_due(database: Database) -> None:
    change(database, next_attempt_at=now_plus(-1))


def summaries(relay: Receiver) -> list[str]:
    return [json.loads(request.body)["data"]["summary"] for request in relay.received]


def outcomes(metrics: LiveMetrics) -> dict[str, float]:
    found = {
        outcome: metrics.registry.get_sample_value("marketplace_notices_total", {"outcome": outcome})
        for outcome in ("delivered", "retrying", "refused", "expired")
    }
    return {outcome: value for outcome, value in found.items() if value}


def test_a_notice_arrives_signed_and_as_the_contract_says(
    told: Database, relay: Receiver, metrics: LiveMetrics
) -> None:
    open_circuit(told)
    assert delivery_to(relay, told, metrics).deliver_due() == 1
    (request,) = relay.received
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = Webhook(SECRET).verify(request.body, headers)
    assert set(body) == {"type", "timestamp", "data"}
    assert body["type"] == "notice"
    notice = Notice.model_validate_json(json.dumps(body["data"]))
    assert (notice.alert, notice.environment, notice.subject) == (CIRCUIT_OPENED.name, "test", {"agent": "amazon"})
    assert (str(notice.id), notice.error) == (headers["webhook-id"], "<!channel> no answer")
    assert datetime.fromisoformat(body["timestamp"]).astimezone(UTC) == notice.at
    assert rows(told)[0].status == "delivered"
    assert outcomes(metrics) == {"delivered": 1}


def test_a_delivered_notice_is_not_sent_again(told: Database, relay: Receiver, metrics: LiveMetrics) -> None:
    open_circuit(told)
    delivery = delivery_to(relay, told, metrics)
    delivery.deliver_due()
    assert delivery.deliver_due() == 0
    assert len(relay.received) == 1


def test_notices_arrive_in_the_order_in_which_they_were_written(
    told: Database, relay: Receiver, metrics: LiveMetrics
) -> None:
    for _ in range(15):
        open_circuit(told)
        close_circuit(told)
    assert delivery_to(relay, told, metrics).deliver_due() == 30
    assert summaries(relay) == ["amazon is away", "amazon is back"] * 15


def test_an_unwell_relay_is_left_alone_for_1_2_5_10_and_30_seconds(
    told: Database, relay: Receiver, metrics: LiveMetrics
) -> None:
    relay.statuses = [503, 429, 500, 502, 408, 503]
    open_circuit(told)
    clock = Clock()
    delivery = delivery_to(relay, told, metrics, clock)
    pauses = []
    for attempt in range(1, 7):
        make_due(told)
        delivery.deliver_due()
        assert len(relay.received) == attempt
        (row,) = rows(told)
        pauses.append(round((row.next_attempt_at - datetime.now(UTC)).total_seconds()))
        make_due(told)
        # Another notice would meet the same: the relay is not asked before the time.
        clock.seconds += pauses[-1] - 0.5
        assert delivery.deliver_due() == 0
        assert len(relay.received) == attempt
        clock.seconds += 1
    assert pauses == [1, 2, 5, 10, 30, 30]
    assert delivery.deliver_due() == 1
    assert len({request.headers["webhook-id"] for request in relay.received}) == 1
    assert outcomes(metrics) == {"delivered": 1, "retrying": 6}


def test_a_relay_that_cannot_be_reached_loses_nothing(told: Database, metrics: LiveMetrics) -> None:
    with running_receiver() as gone:
        pass
    open_circuit(told)
    open_circuit(told, "shopee")
    assert delivery_to(gone, told, metrics).deliver_due() == 0
    assert [row.status for row in rows(told)] == ["pending", "pending"]
    assert outcomes(metrics) == {"retrying": 1}
    with told.read() as connection:
        assert waiting_notices(connection).count == 2


def test_a_refused_notice_is_an_error_once_and_tried_again_after_a_minute(
    told: Database, relay: Receiver, metrics: LiveMetrics
) -> None:
    relay.statuses = [401, 401]
    open_circuit(told)
    clock = Clock()
    delivery = delivery_to(relay, told, metrics, clock)
    with capture_logs() as logs:
        for _ in range(2):
            delivery.deliver_due()
            (row,) = rows(told)
            assert 50 < (row.next_attempt_at - datetime.now(UTC)).total_seconds() < 70
            make_due(told)
            clock.seconds += 61
    assert [log["log_level"] for log in logs] == ["error", "warning"]
    assert delivery.deliver_due() == 1
    assert outcomes(metrics) == {"refused": 2, "delivered": 1}


def test_a_refused_notice_holds_up_its_own_issue_and_no_other(
    told: Database, relay: Receiver, metrics: LiveMetrics
) -> None:
    relay.statuses = [400]
    open_circuit(told)
    close_circuit(told)
    open_circuit(told, "shopee")
    delivery = delivery_to(relay, told, metrics)
    assert delivery.deliver_due() == 1
    assert summaries(relay) == ["amazon is away", "shopee is away"]
    make_due(told)
    assert delivery.deliver_due() == 2
    assert summaries(relay)[2:] == ["amazon is away", "amazon is back"]


def test_a_redirect_is_not_followed(told: Database, relay: Receiver, metrics: LiveMetrics) -> None:
    relay.statuses = [302]
    open_circuit(told)
    assert delivery_to(relay, told, metrics).deliver_due() == 0
    assert len(relay.received) == 1


def test_a_notice_that_is_on_its_way_is_not_taken_by_another_process(told: Database) -> None:
    open_circuit(told)
    close_circuit(told)
    with told.write() as connection:
        (claimed,) = claim_notices(connection, owner="scheduler-1", lease_seconds=10, limit=1)
        # Nor is a later one of the same issue.
        assert claim_notices(connection, owner="scheduler-2", lease_seconds=10, limit=10) == []
        assert end_notice(connection, claimed)
        assert len(claim_notices(connection, owner="scheduler-2", lease_seconds=10, limit=10)) == 1


def test_ten_thousand_that_wait_do_not_slow_the_next_claim_down(told: Database) -> None:
    at = datetime.now(UTC)
    with told.write() as connection:
        connection.execute(
            insert(notices),
            [
                {
                    "id": uuid4(),
                    "alert": CIRCUIT_OPENED.name,
                    "issue": f"{CIRCUIT_OPENED.name}/agent={number % 2}",
                    "state": "firing",
                    "data": {},
                    "next_attempt_at": at,
                    "created_at": at,
                }
                for number in range(10_000)
            ],
        )
    started = time.monotonic()
    with told.write() as connection:
        assert len(claim_notices(connection, owner="scheduler-1", lease_seconds=100, limit=20)) == 20
        assert claim_notices(connection, owner="scheduler-2", lease_seconds=100, limit=20) == []
    # It takes a twentieth of a second; a search that looks at all the others for each of them takes many.
    assert time.monotonic() - started < 4


def test_what_a_dead_process_held_is_given_back_and_its_late_answer_counts_no_more(told: Database) -> None:
    open_circuit(told)
    with told.write() as connection:
        (lost,) = claim_notices(connection, owner="scheduler-1", lease_seconds=100, limit=10)
        assert give_back_notices(connection, "scheduler-2") == 0
        assert give_back_notices(connection, "scheduler-1") == 1
        (claimed,) = claim_notices(connection, owner="scheduler-2", lease_seconds=100, limit=10)
        assert not end_notice(connection, lost)
        assert not put_back_notice(connection, lost)
        assert end_notice(connection, claimed)


def test_a_notice_whose_lease_ran_out_is_due_again(told: Database) -> None:
    open_circuit(told)
    with told.write() as connection:
        claim_notices(connection, owner="scheduler-1", lease_seconds=100, limit=10)
        connection.execute(update(notices).values(next_attempt_at=now_plus(-1)))
        assert len(claim_notices(connection, owner="scheduler-2", lease_seconds=100, limit=10)) == 1


def test_a_notice_expires_after_a_day_with_an_error_in_the_log(
    told: Database, relay: Receiver, metrics: LiveMetrics
) -> None:
    delivery = delivery_to(relay, told, metrics)
    open_circuit(told)
    change(told, created_at=now_plus(-86_401))
    open_circuit(told, "shopee")
    with capture_logs() as logs:
        delivery.tidy()
        delivery.tidy()
    assert [(log["event"], log["log_level"], log["alert"]) for log in logs] == [
        ("notice_expired", "error", CIRCUIT_OPENED.name)
    ]
    assert delivery.deliver_due() == 1
    assert summaries(relay) == ["shopee is away"]
    assert outcomes(metrics) == {"expired": 1, "delivered": 1}


def test_delivered_notices_are_kept_for_a_day_and_what_goes_on_for_longer(
    told: Database, relay: Receiver, metrics: LiveMetrics
) -> None:
    delivery = delivery_to(relay, told, metrics)
    open_circuit(told)
    close_circuit(told)
    open_circuit(told, "shopee")
    delivery.deliver_due()
    delivery.tidy()
    assert len(rows(told)) == 3
    change(told, ended_at=now_plus(-86_401))
    delivery.tidy()
    (left,) = rows(told)
    assert left.issue.endswith("shopee")
    close_circuit(told, "shopee")
    assert [row.state for row in rows(told)] == ["firing", "resolved"]


def test_a_delivery_that_is_told_to_stop_gives_the_rest_back(
    told: Database, relay: Receiver, metrics: LiveMetrics
) -> None:
    open_circuit(told)
    open_circuit(told, "shopee")
    go_on = iter([True, True, False])
    assert delivery_to(relay, told, metrics).deliver_due(lambda: next(go_on, False)) == 1
    assert sorted(row.status for row in rows(told)) == ["delivered", "pending"]


@pytest.mark.parametrize("secret", [None, SecretStr("whsec_not base64!")], ids=["none", "broken"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_secret_that_cannot_sign_names_its_variable(
    secret: SecretStr | None, database: Database, metrics: LiveMetrics
) -> None:
    outbound = Outbound(OutboundSettings(), allow_private=True)
    with pytest.raises(ConfigurationError, match="MARKETPLACE_RELAY__EVENTS_SECRET"):
        NoticeDelivery(database, outbound, metrics, relay_url="http://relay", secret=secret, owner="scheduler-1")


def test_a_notice_is_with_the_relay_soon_after_its_commit(
    told: Database, relay: Receiver, metrics: LiveMetrics
) -> None:
    stop = threading.Event()
    chores = [Chore("notify", POLL_SECONDS, delivery_to(relay, told, metrics).deliver_due)]
    thread = threading.Thread(
        target=do_chores, args=(chores, stop, metrics), kwargs={"place": "notices", "pulse": Pulse(60)}
    )
    thread.start()
    try:
        open_circuit(told)
        # It takes a quarter of a second and little more; a busy machine may stall for some seconds.
        wait_until(lambda: len(relay.received) == 1, seconds=5, what="the notice at the relay")
    finally:
        stop.set()
        thread.join()
