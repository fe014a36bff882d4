"""Hints from processes that must not wait for Redis: whatever it, or the way to it, does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from app.domain.errors import RedisUnavailableError
from app.domain.jobs import QUEUES, JobKind
from app.job_queue.clients import fail_fast_client
from app.job_queue.gate import RedisGate
from app.job_queue.gated_hints import GatedHintQueue
from app.live_metrics import LiveMetrics
from app.settings import RedisSettings
from tests.raw_server import raw_server

PHASE1 = QUEUES[JobKind.PHASE1]


@contextmanager
def hints_on(url: str, *, limit_seconds: float = 0.1) -> Iterator[GatedHintQueue]:
    settings = RedisSettings(url=SecretStr(url), namespace=f"{{test-{uuid4().hex[:12]}}}")
    client = fail_fast_client(settings, LiveMetrics())
    gate = RedisGate(limit_seconds=limit_seconds, pause_seconds=60)
    yield GatedHintQueue(client, settings.namespace, gate)
    gate.close()
    client.connection_pool.disconnect()


def seconds_until_it_fails(hints: GatedHintQueue) -> float:
    started = time.monotonic()
    with pytest.raises(RedisUnavailableError):
        hints.send(PHASE1, uuid4())
    return time.monotonic() - started


def test_hints_pass_and_are_counted(redis_url: str) -> None:
    with hints_on(redis_url, limit_seconds=10) as hints:
        assert hints.begin_epoch("one") is True
        hints.send(PHASE1, uuid4())
        assert hints.waiting(PHASE1) == 1
        assert list(hints.set_aside_in(PHASE1)) == []


def test_a_name_service_that_hangs_holds_no_hint_up(monkeypatch: pytest.MonkeyPatch) -> None:
    free = threading.Event()

    def hang(*_arguments: Any) -> list[Any]:
        free.wait(30)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with hints_on("redis://redis.example.com/0") as hints:
        assert seconds_until_it_fails(hints) < 5
        free.set()


def test_a_handshake_in_small_steps_holds_no_hint_up() -> None:
    def drip(connection: socket.socket, ending: threading.Event) -> None:
        # Each byte comes long before the client's own timeout; the whole of them would take half an hour.
        for byte in b"%" + b"7" * 30_000:
            if ending.wait(0.06):
                return
            connection.sendall(bytes([byte]))

    with raw_server(drip) as server, hints_on(f"redis://:secret@127.0.0.1:{server.port}/0") as hints:
        assert seconds_until_it_fails(hints) < 5


def test_what_was_set_aside_is_not_asked_for_while_redis_is_away() -> None:
    def say_nothing(_connection: socket.socket, ending: threading.Event) -> None:
        ending.wait(30)

    with raw_server(say_nothing) as server:
        with hints_on(f"redis://127.0.0.1:{server.port}/0") as hints:
            seconds_until_it_fails(hints)
            asked = len(server.requests)
            with pytest.raises(RedisUnavailableError, match="a moment ago"):
                list(hints.set_aside_in(PHASE1))
        assert len(server.requests) == asked
