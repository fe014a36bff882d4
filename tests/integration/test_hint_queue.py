from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis import Redis

from app.domain.errors import RedisUnavailableError
from app.domain.jobs import JobMessage
from app.job_queue.clients import fail_fast_client, patient_client, reconnect_pause_seconds
from app.job_queue.hint_messages import read_hint
from app.job_queue.hints import HintQueue
from app.live_metrics import LiveMetrics
from app.settings import RedisSettings
from tests.forwarder import Forwarder
from tests.servers import running_valkey, wait_until

QUEUE = "phase1-tasks"


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    # Half of this is the longest wait for a hint: longer than any test asks for.
    client = patient_client(RedisSettings(url=SecretStr(redis_url), timeout_seconds=120), LiveMetrics())
    yield client
    client.close()


@pytest.fixture
def hints(client: Redis) -> HintQueue:
    return HintQueue(client, f"{{test-{secrets.token_hex(6)}}}")


def test_a_hint_is_sent_in_one_round_trip(redis_url: str) -> None:
    client = fail_fast_client(RedisSettings(url=SecretStr(redis_url)), LiveMetrics())
    hints = HintQueue(client, f"{{test-{secrets.token_hex(6)}}}")
    sent = client.metrics.registry.get_sample_value
    labels = {"client": "fail_fast", "outcome": "ok"}
    # The first one too: there is no script to be loaded.
    hints.send(QUEUE, uuid4())
    assert sent("marketplace_redis_commands_total", labels) == 1
    client.close()


def test_hints_are_taken_in_the_order_in_which_they_were_sent(hints: HintQueue) -> None:
    sent = [uuid4() for _ in range(5)]
    for job_id in sent:
        hints.send(QUEUE, job_id)
    taken = [*hints.take([QUEUE], limit=3, wait_seconds=1), *hints.take([QUEUE], limit=3, wait_seconds=1)]
    assert [read_hint(delivery.body) for delivery in taken] == [JobMessage(job_id=job_id) for job_id in sent]
    assert {delivery.queue for delivery in taken} == {QUEUE}
    assert hints.waiting(QUEUE) == 0


def test_who_waits_gets_a_hint_at_once(hints: HintQueue) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(hints.take, ["other", QUEUE], limit=8, wait_seconds=60)
        job_id = uuid4()
        started = time.monotonic()
        hints.send(QUEUE, job_id)
        (taken,) = waiting.result(20)
    # By itself it would have come back after a minute.
    assert time.monotonic() - started < 15
    assert (taken.queue, read_hint(taken.body)) == (QUEUE, JobMessage(job_id=job_id))


def test_of_several_who_wait_one_gets_the_hint(hints: HintQueue, client: Redis) -> None:
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(hints.take, [QUEUE], limit=8, wait_seconds=5) for _ in range(3)]
        wait_until(lambda: int(client.info("clients")["blocked_clients"]) >= 3, what="three to wait")
        hints.send(QUEUE, uuid4())
        assert sorted(len(future.result(30)) for future in waiting) == [0, 0, 1]


def test_nobody_waits_longer_than_half_of_what_the_client_waits_for_an_answer(redis_url: str) -> None:
    # The server ends a wait up to a tenth of a second late: it looks ten times a second.
    client = fail_fast_client(RedisSettings(url=SecretStr(redis_url), fail_fast_timeout_seconds=1.0), LiveMetrics())
    assert HintQueue(client, "{nothing-comes}").take([QUEUE], limit=1, wait_seconds=60) == []
    client.close()


def test_what_is_given_back_comes_first_and_in_its_order(hints: HintQueue) -> None:
    for _ in range(3):
        hints.send(QUEUE, uuid4())
    taken = hints.take([QUEUE], limit=2, wait_seconds=1)
    hints.give_back(taken)
    assert hints.take([QUEUE], limit=3, wait_seconds=1)[:2] == taken


def test_what_was_set_aside_is_there_until_it_is_forgotten(hints: HintQueue) -> None:
    letter_id = uuid4()
    hints.set_aside(QUEUE, letter_id, b"letter")
    assert list(hints.set_aside_in(QUEUE)) == [(letter_id, b"letter")]
    assert list(hints.set_aside_in("other")) == []
    hints.forget(QUEUE, letter_id)
    assert list(hints.set_aside_in(QUEUE)) == []


def test_a_full_redis_refuses_new_hints_and_still_hands_out_those_it_has(tmp_path: Path) -> None:
    with running_valkey(tmp_path) as url:
        client = patient_client(RedisSettings(url=SecretStr(url)), LiveMetrics())
        hints = HintQueue(client, "{test}")
        hints.send(QUEUE, uuid4())
        client.config_set("maxmemory", 1)
        with pytest.raises(RedisUnavailableError, match="OutOfMemoryError"):
            hints.send(QUEUE, uuid4())
        assert len(hints.take([QUEUE], limit=8, wait_seconds=1)) == 1
        client.close()


def test_after_a_fail_over_new_connections_lead_to_the_new_primary(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    with (
        running_valkey(tmp_path / "old", password="the-same") as old_url,
        running_valkey(tmp_path / "new", password="the-same") as new_url,
        Forwarder(old_url) as forwarder,
    ):
        client = patient_client(RedisSettings(url=SecretStr(forwarder.url)), LiveMetrics())
        hints = HintQueue(client, "{test}")
        hints.send(QUEUE, uuid4())
        forwarder.lead_to(new_url)
        with Redis.from_url(old_url) as old:
            old.replicaof("127.0.0.1", 1)
        with pytest.raises(RedisUnavailableError, match="ReadOnlyError"):
            hints.send(QUEUE, uuid4())
        hints.send(QUEUE, uuid4())
        with Redis.from_url(new_url) as new:
            assert new.llen("{test}:phase1-tasks") == 1
        client.close()


def test_pauses_between_tries_grow_up_to_a_limit_however_long_redis_is_away() -> None:
    settings = RedisSettings(reconnect_base_seconds=0.05, reconnect_cap_seconds=1.0)
    assert all(0 <= reconnect_pause_seconds(settings, 1) <= 0.1 for _ in range(100))
    late = [reconnect_pause_seconds(settings, failures) for failures in (20, 2000, 10**9) for _ in range(100)]
    assert max(late) == 1.0
    assert sum(late) / len(late) > 0.9
