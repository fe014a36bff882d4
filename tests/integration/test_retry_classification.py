"""What is retried and what is not: from an agent's answer over real HTTP to the row of the job."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import Row, select

from app.agent_round import AgentRound
from app.agents.configuration import AgentConfig
from app.analysis_job import AnalysisJob
from app.domain.errors import (
    BadAnswerError,
    ConfigurationError,
    ConflictError,
    DatabaseUnavailableError,
    InvalidInputError,
    MarketplaceError,
    NotFoundError,
    RedisUnavailableError,
)
from app.domain.jobs import JobKind
from app.job_execution import RunEnd
from app.settings import DatabaseSettings, JobSettings
from app.storage.database import Database
from app.storage.schema import attempts
from tests.gateways import gateway_to
from tests.pipeline import APPROVER, Pipeline, raising
from tests.raw_server import Script, raw_server
from tests.servers import free_port


@pytest.fixture
def house(sqlite_template: Path, redis_url: str, tmp_path: Path) -> Iterator[Pipeline]:
    """Return the pipeline with the product's own delays."""
    path = tmp_path / "marketplace.db"
    shutil.copyfile(sqlite_template, path)
    database = Database(DatabaseSettings(url=SecretStr(f"sqlite:///{path}")))
    pipeline = Pipeline(database, redis_url, JobSettings())
    yield pipeline
    pipeline.close()
    database.close()


def requested(house: Pipeline) -> UUID:
    """Return the job of an analysis."""
    return house.analyses.request(
        title="Shoes", channels=["amazon"], context=None, origin="analysis", by=APPROVER, request_id=None
    ).job_id


def asked(house: Pipeline, url: str) -> tuple[RunEnd, Row[Any]]:
    """Run an analysis whose agent is at this URL, once; return how it ended and its attempt."""
    config = AgentConfig.model_validate(
        {"name": "amazon", "channel": "amazon", "url": url, "protocol": "http", "timeout_seconds": 1.0}
    )
    gateway = gateway_to([config], house.metrics)
    asking = AgentRound(house.database, gateway, house.metrics, cache_seconds=0)
    house.bodies[JobKind.ANALYSIS] = AnalysisJob(house.database, asking)
    return run_once(house)


def run_once(house: Pipeline) -> tuple[RunEnd, Row[Any]]:
    end = house.executor.run(requested(house))
    with house.database.read() as connection:
        return end, connection.execute(select(attempts)).one()


def pause_after(attempt: Row[Any]) -> float | None:
    """Return the seconds between the end of the attempt and the next one, whole."""
    return None if attempt.retry_at is None else round((attempt.retry_at - attempt.ended_at).total_seconds())


def answer(status: int, *headers: str, body: bytes = b"{}") -> bytes:
    lines = (f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Connection: close", *headers)
    return "\r\n".join((*lines, "", "")).encode() + body


@pytest.mark.parametrize(
    ("status", "code", "retried"),
    [
        (301, "remote_rejected", False),
        (400, "remote_rejected", False),
        (401, "remote_auth", False),
        (403, "remote_auth", False),
        (404, "remote_rejected", False),
        (408, "timeout", True),
        (409, "remote_rejected", False),
        (413, "remote_rejected", False),
        (422, "remote_rejected", False),
        (425, "rate_limited", True),
        (429, "rate_limited", True),
        (500, "server_error", True),
        (501, "remote_rejected", False),
        (502, "server_error", True),
        (503, "server_error", True),
        (504, "server_error", True),
        (505, "remote_rejected", False),
        (529, "server_error", True),
    ],
)
def test_the_status_of_an_answer_decides(house: Pipeline, status: int, code: str, *, retried: bool) -> None:
    with raw_server(answer(status)) as server:
        end, attempt = asked(house, server.url)
    assert (end, attempt.error_code) == (RunEnd.RETRYING if retried else RunEnd.FAILED, code)
    assert pause_after(attempt) == (1 if retried else None)


def reset(connection: socket.socket, _ending: threading.Event) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def hang(_connection: socket.socket, ending: threading.Event) -> None:
    ending.wait(20)


@pytest.mark.parametrize(
    ("script", "code", "end"),
    [
        pytest.param(None, "network", RunEnd.RETRYING, id="refused"),
        pytest.param(reset, "network", RunEnd.RETRYING, id="reset"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "network", RunEnd.RETRYING, id="half-an-answer"
        ),
        pytest.param(hang, "timeout", RunEnd.RETRYING, id="silent"),
        pytest.param(b"220 ESMTP\r\n", "bad_answer", RunEnd.FAILED, id="not-http"),
        pytest.param(answer(200, body=b"not JSON"), "bad_answer", RunEnd.FAILED, id="not-json"),
        pytest.param(answer(200, body=b'{"plan": []}'), "bad_answer", RunEnd.FAILED, id="no-plan"),
    ],
)
def test_what_happens_to_the_call_decides(
    house: Pipeline, script: Script | bytes | None, code: str, end: RunEnd
) -> None:
    with nullcontext() if script is None else raw_server(script) as server:
        url = server.url if server else f"http://127.0.0.1:{free_port()}/"
        assert (asked(house, url)[0], asked_code(house)) == (end, code)


def asked_code(house: Pipeline) -> str:
    with house.database.read() as connection:
        return str(connection.scalars(select(attempts.c.error_code)).one())


def test_an_agent_whose_name_cannot_be_found_is_retried(house: Pipeline) -> None:
    end, attempt = asked(house, "http://agent.invalid/")
    assert (end, attempt.error_code) == (RunEnd.RETRYING, "network")


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (DatabaseUnavailableError("locked"), RunEnd.RETRYING),
        (RedisUnavailableError("Redis: TimeoutError"), RunEnd.RETRYING),
        (InvalidInputError("channels", "is empty"), RunEnd.FAILED),
        (BadAnswerError("no JSON"), RunEnd.FAILED),
        (ConfigurationError("no key"), RunEnd.FAILED),
        (NotFoundError("the plan is gone"), RunEnd.FAILED),
        (ConflictError("decided"), RunEnd.FAILED),
    ],
    ids=lambda value: getattr(value, "code", ""),
)
def test_the_type_of_our_own_errors_decides(house: Pipeline, error: MarketplaceError, end: RunEnd) -> None:
    house.bodies[JobKind.ANALYSIS] = raising(error)
    assert run_once(house)[0] is end


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("asks", "pause"),
    [
        pytest.param("20", 20, id="seconds"),
        pytest.param("0", 1, id="less-than-ours"),
        pytest.param("soon", 1, id="nonsense"),
    ],
)
def test_the_pause_that_an_agent_asks_for_is_kept(house: Pipeline, status: int, asks: str, pause: int) -> None:
    with raw_server(answer(status, f"Retry-After: {asks}")) as server:
        end, attempt = asked(house, server.url)
    assert end is RunEnd.RETRYING
    assert pause_after(attempt) == pytest.approx(pause, abs=1)


@pytest.mark.parametrize("status", [429, 503])
def test_an_agent_is_left_alone_until_the_date_that_it_names(house: Pipeline, status: int) -> None:
    # The date is fixed here, so that it does not matter how long the attempt takes until it ends.
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=30)
    with raw_server(answer(status, f"Retry-After: {format_datetime(until, usegmt=True)}")) as server:
        end, attempt = asked(house, server.url)
    assert end is RunEnd.RETRYING
    assert attempt.retry_at is not None
    # Not before it; and after it only by what passes between the answer and the end of the attempt.
    assert -1 < (attempt.retry_at - until).total_seconds() < 10


@pytest.mark.parametrize(
    ("asks", "total_seconds", "reason"),
    [
        pytest.param(50, 20.0, "it asked to be left alone for 50 s, and the job has 20 s left", id="job-ends"),
        pytest.param(90, 600.0, "it asked to be left alone for 90 s, and no pause is longer than 60 s", id="too-long"),
    ],
)
def test_a_longer_pause_than_there_is_ends_in_a_dead_letter_at_once(
    house: Pipeline, asks: int, total_seconds: float, reason: str
) -> None:
    house.settings = house.settings.model_copy(update={"analysis_total_seconds": total_seconds})
    house.analyses._jobs = house.settings
    with raw_server(answer(429, f"Retry-After: {asks}", body=b"slow down")) as server:
        end, attempt = asked(house, server.url)
    assert end is RunEnd.FAILED
    letter = house.dead_letter(attempt.job_id)
    assert letter is not None
    assert (letter.reason, letter.error_class) == ("rate_limited", "recoverable")
    assert letter.error_message == f"HTTP 429: slow down; no retry: {reason}"
