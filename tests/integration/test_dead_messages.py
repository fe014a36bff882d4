from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
import structlog
from sqlalchemy import Row, delete, select

from app.domain.dead_letters import MessageFault
from app.domain.errors import DatabaseUnavailableError, RedisUnavailableError
from app.domain.jobs import QUARANTINE_QUEUES, QUEUES, JobKind
from app.job_queue.hint_messages import BadMessage, Delivery
from app.storage.schema import attempts, dead_letters, events, jobs, plans
from tests.pipeline import Pipeline
from tests.servers import wait_until
from tests.workers import ends, working
from worker.dead_messages import DeadMessages

PHASE1 = QUEUES[JobKind.PHASE1]
ALL_QUEUES = (*QUEUES.values(), *QUARANTINE_QUEUES.values())
BAD = BadMessage(MessageFault.UNDECODABLE, "the message is not JSON")


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as logs:
        yield logs


def letters(pipeline: Pipeline) -> Sequence[Row[Any]]:
    with pipeline.database.read() as connection:
        return connection.execute(select(dead_letters)).all()


def put(pipeline: Pipeline, body: bytes, queue: str = PHASE1) -> None:
    pipeline.redis.rpush(f"{pipeline.redis_settings.namespace}:{queue}", body)


def forget_job(pipeline: Pipeline) -> None:
    """Delete every plan with all that hangs on it, as somebody with a database client would."""
    with pipeline.database.write() as connection:
        for table in (events, attempts, jobs, plans):
            connection.execute(delete(table))


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch, pipeline: Pipeline) -> None:
    def refuse(*_: object) -> None:
        raise DatabaseUnavailableError("sqlite: away")

    monkeypatch.setattr(pipeline.dead_messages, "_archive", refuse)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\x80 no message", "message_undecodable"),
        (b'{"actor_name": "run_job", "kwargs": {"message": {"v": 9}}}', "message_version"),
        (b'{"actor_name": "send_mail", "kwargs": {}}', "message_unknown_actor"),
    ],
    ids=["undecodable", "unknown version", "unknown actor"],
)
def test_a_message_that_is_no_hint_becomes_a_dead_letter_and_the_queue_goes_on(
    body: bytes, reason: str, pipeline: Pipeline
) -> None:
    with working(pipeline, phase1_threads=1):
        put(pipeline, body)
        ends(pipeline, pipeline.approved())
    (letter,) = letters(pipeline)
    assert (letter.queue, letter.reason, letter.error_class, letter.status) == (PHASE1, reason, "message", "waiting")
    assert (letter.job_id, letter.plan_id, letter.kind, letter.history) == (None, None, None, [])
    assert base64.b64decode(letter.payload["base64"]) == body
    assert pipeline.value("marketplace_dead_messages_total", reason=reason) == 1


def test_many_of_them_keep_no_job_waiting(pipeline: Pipeline) -> None:
    with working(pipeline, phase1_threads=2):
        for number in range(20):
            put(pipeline, b"poison %d" % number)
        ends(pipeline, pipeline.approved())
        assert len(letters(pipeline)) == 20


def test_a_message_whose_plan_and_job_were_deleted_becomes_a_dead_letter(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    forget_job(pipeline)
    with working(pipeline):
        wait_until(lambda: letters(pipeline), what="the letter")
        ends(pipeline, pipeline.approved())
    (letter,) = letters(pipeline)
    assert (letter.reason, letter.error_message) == ("unknown_job", f"there is no job {job_id}")
    assert json.loads(base64.b64decode(letter.payload["base64"]))["kwargs"]["message"]["jobId"] == str(job_id)


def test_a_long_message_is_kept_up_to_a_limit(pipeline: Pipeline) -> None:
    with working(pipeline):
        put(pipeline, b"x" * 1_000_000)
        (letter,) = wait_until(lambda: letters(pipeline), what="the letter")
    assert letter.error_message == "1000000 bytes, where 4096 is the most"
    assert len(base64.b64decode(letter.payload["base64"])) == 4096


@pytest.mark.usefixtures("away")
def test_without_a_database_a_message_waits_in_redis_and_is_collected(pipeline: Pipeline) -> None:
    pipeline.dead_messages.bury(Delivery(PHASE1, b"\xff"), BAD)
    assert not letters(pipeline)
    healed = DeadMessages(pipeline.database, pipeline.hints, pipeline.metrics)
    assert healed.collect(ALL_QUEUES) == 1
    (letter,) = letters(pipeline)
    assert (letter.queue, letter.reason, letter.error_message) == (PHASE1, BAD.fault, BAD.text)
    assert base64.b64decode(letter.payload["base64"]) == b"\xff"
    assert healed.collect(ALL_QUEUES) == 0


@pytest.mark.usefixtures("away")
def test_a_collection_that_was_cut_short_archives_nothing_twice(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        pipeline.dead_messages.bury(Delivery(PHASE1, b"the same bytes"), BAD)
    healed = DeadMessages(pipeline.database, pipeline.hints, pipeline.metrics)

    def die(*_: object) -> None:
        raise RedisUnavailableError("Redis: ConnectionError")

    with monkeypatch.context() as patch:
        patch.setattr(pipeline.hints, "forget", die)
        with pytest.raises(RedisUnavailableError):
            healed.collect(ALL_QUEUES)
    assert len(letters(pipeline)) == 1
    healed.collect(ALL_QUEUES)
    assert len(letters(pipeline)) == 2
    assert healed.collect(ALL_QUEUES) == 0


@pytest.mark.usefixtures("away")
def test_what_neither_database_nor_redis_can_take_is_in_the_log(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, logs: list[Any]
) -> None:
    def refuse(*_: object) -> None:
        raise RedisUnavailableError("Redis: OutOfMemoryError")

    monkeypatch.setattr(pipeline.hints, "set_aside", refuse)
    pipeline.dead_messages.bury(Delivery(PHASE1, b"\xff"), BAD)
    assert [log["event"] for log in logs] == ["message_led_to_no_job", "message_not_archived"]
    assert logs[1]["text"] == BAD.text


def test_a_hint_that_is_late_is_no_dead_letter(pipeline: Pipeline) -> None:
    job_id = pipeline.approved()
    pipeline.executor.run(job_id)
    assert not pipeline.dead_messages.bury_if_unknown(Delivery(PHASE1, b""), job_id)
    assert pipeline.dead_messages.bury_if_unknown(Delivery(PHASE1, b""), uuid4())
    assert len(letters(pipeline)) == 1
