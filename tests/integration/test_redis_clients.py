from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import trustme
from pydantic import SecretStr
from redis import Redis, RedisError

from app.domain.errors import RedisUnavailableError
from app.domain.jobs import QUEUES, JobKind
from app.job_queue.clients import fail_fast_client, patient_client
from app.job_queue.health import check_redis
from app.job_queue.hints import HintQueue
from app.live_metrics import LiveMetrics
from app.settings import RedisSettings
from tests.servers import free_port, running_valkey, wait_until


def settings_for(url: str, **more: Any) -> RedisSettings:
    return RedisSettings(url=SecretStr(url), **more)


@contextmanager
def frozen(client: Redis) -> Iterator[None]:
    """Freeze the server that this client talks to, so that it accepts connections and never answers."""
    pid = int(client.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def quickest_failure(client: Redis, error: str) -> float:
    """Return how many seconds the quickest of five checks takes to fail so: a busy machine holds up some, not all.

    With the retries that redis-py has by default, each would take more than 3 s.
    """
    found = []
    for _ in range(5):
        started = time.monotonic()
        assert check_redis(client).error == error
        found.append(time.monotonic() - started)
    return min(found)


def test_no_more_connections_are_opened_than_allowed_and_callers_wait_for_one(redis_url: str) -> None:
    metrics = LiveMetrics()
    client = patient_client(settings_for(redis_url, pool_max_connections=3), metrics)
    done = []

    def block() -> None:
        client.blpop(["nothing-comes"], timeout=0.1)
        done.append(1)

    threads = [threading.Thread(target=block) for _ in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(done) == 9
    assert metrics.registry.get_sample_value("marketplace_redis_pool_connections", {"client": "patient"}) == 3
    client.close()


def test_the_most_connections_that_a_process_may_open_are_those_of_all_its_clients(redis_url: str) -> None:
    metrics = LiveMetrics()
    for most in (3, 4):
        fail_fast_client(settings_for(redis_url, pool_max_connections=most), metrics).close()
    told = partial(metrics.registry.get_sample_value, "marketplace_redis_pool_connections_max")
    assert (told({"client": "fail_fast"}), told({"client": "patient"})) == (7, 0)


def test_no_more_than_50_connections_can_be_configured() -> None:
    with pytest.raises(ValueError, match="less than or equal to 50"):
        RedisSettings(pool_max_connections=51)


def test_commands_are_counted_and_timed_by_outcome(redis_url: str) -> None:
    metrics = LiveMetrics()
    client = fail_fast_client(settings_for(redis_url, fail_fast_timeout_seconds=1.0), metrics)
    client.ping()
    with pytest.raises(RedisError):
        client.execute_command("NO-SUCH-COMMAND")
    counted = partial(metrics.registry.get_sample_value, "marketplace_redis_commands_total")
    assert counted({"client": "fail_fast", "outcome": "ok"}) == 1
    assert counted({"client": "fail_fast", "outcome": "failed"}) == 1
    timed = metrics.registry.get_sample_value(
        "marketplace_redis_command_duration_seconds_count", {"client": "fail_fast"}
    )
    assert timed == 2
    client.close()


def test_health_tells_the_latency(redis_url: str) -> None:
    client = fail_fast_client(settings_for(redis_url, fail_fast_timeout_seconds=1.0), LiveMetrics())
    health = check_redis(client)
    assert health.error is None
    assert health.latency_ms is not None
    assert 0 < health.latency_ms < 1000
    client.close()


def test_health_tells_a_wrong_password_by_its_kind_only(redis_url: str) -> None:
    wrong = redis_url.replace("redis://:", "redis://:wrong")
    client = fail_fast_client(settings_for(wrong, fail_fast_timeout_seconds=1.0), LiveMetrics())
    health = check_redis(client)
    assert (health.latency_ms, health.error) == (None, "AuthenticationError")
    client.close()


def test_the_fail_fast_client_gives_up_at_once_when_nobody_listens() -> None:
    client = fail_fast_client(settings_for(f"redis://127.0.0.1:{free_port()}/0"), LiveMetrics())
    assert quickest_failure(client, "ConnectionError") < 1


def test_the_fail_fast_client_gives_up_soon_when_the_server_is_frozen(tmp_path: Path) -> None:
    with running_valkey(tmp_path) as url:
        client = fail_fast_client(settings_for(url), LiveMetrics())
        with frozen(client):
            assert quickest_failure(client, "TimeoutError") < 1
        wait_until(lambda: check_redis(client).error is None, what="the thawed server")
        client.close()


def test_the_patient_client_does_not_repeat_what_may_have_been_done(tmp_path: Path) -> None:
    with running_valkey(tmp_path) as url:
        client = patient_client(settings_for(url, timeout_seconds=0.2), LiveMetrics())
        with frozen(client), pytest.raises(RedisError):
            client.incr("counted")
        wait_until(lambda: client.get("counted") == b"1", what="the command that seemed lost")
        assert client.incr("counted") == 2
        client.close()


def test_a_hint_that_cannot_be_sent_is_an_error_of_ours() -> None:
    client = fail_fast_client(settings_for(f"redis://127.0.0.1:{free_port()}/0"), LiveMetrics())
    hints = HintQueue(client, "{test}")
    with pytest.raises(RedisUnavailableError, match="ConnectionError"):
        hints.waiting(QUEUES[JobKind.PHASE1])
    with pytest.raises(RedisUnavailableError, match="ConnectionError"):
        hints.begin_epoch("epoch")
    with pytest.raises(RedisUnavailableError, match="ConnectionError"):
        hints.send(QUEUES[JobKind.PHASE1], uuid4())


@contextmanager
def tls_in_front_of(port: int, certificate: trustme.LeafCert) -> Iterator[int]:
    """Yield the port of a server that speaks TLS to the client and plain TCP to `port`: Valkey's wheel has no TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                contextlib.suppress(OSError),
                context.wrap_socket(self.request, server_side=True) as outer,
                socket.create_connection(("127.0.0.1", port)) as inner,
            ):
                while True:
                    # What TLS has decrypted already is invisible to select.
                    ready = [outer] if outer.pending() else select.select([outer, inner], [], [], 30)[0]
                    for source in ready:
                        data = source.recv(65536)
                        if not data:
                            return
                        (inner if source is outer else outer).sendall(data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_tls_trusts_only_the_configured_authority_and_the_right_name(redis_url: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    plain = urlsplit(redis_url)
    with tls_in_front_of(plain.port or 0, authority.issue_cert("localhost")) as port:

        def health(host: str, **options: object) -> str | None:
            url = f"rediss://:{plain.password}@{host}:{port}/0"
            client = patient_client(settings_for(url, **options), LiveMetrics())
            try:
                return check_redis(client).error
            finally:
                client.close()

        assert health("localhost", tls_ca_file=ca_file) is None
        assert health("localhost") == "ConnectionError"
        assert health("127.0.0.1", tls_ca_file=ca_file) == "ConnectionError"
        assert health("127.0.0.1", tls_ca_file=ca_file, tls_check_hostname=False) is None
