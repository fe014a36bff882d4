from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest
import requests
from prometheus_client import CollectorRegistry, Counter

from worker.probes import ProbeServer, serve_probes


@contextmanager
def probes(problems: Callable[[], Sequence[str]] = list, host: str = "127.0.0.1") -> Iterator[str]:
    registry = CollectorRegistry()
    Counter("things", "Things", registry=registry).inc()
    server: ProbeServer = serve_probes(host, 0, registry, problems)
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_metrics_are_told() -> None:
    with probes() as url:
        answer = requests.get(f"{url}/metrics", timeout=10)
    assert (answer.status_code, "things_total 1.0" in answer.text) == (200, True)


def test_a_process_that_is_well_is_alive() -> None:
    with probes() as url:
        answer = requests.get(f"{url}/live", timeout=10)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json() == {"status": "alive", "problems": []}


def test_a_process_that_is_not_well_says_why() -> None:
    with probes(lambda: ["the heartbeat is dead"]) as url:
        answer = requests.get(f"{url}/live", timeout=10)
    assert answer.status_code == 503
    assert answer.json() == {"status": "unwell", "problems": ["the heartbeat is dead"]}


def test_nothing_else_is_told() -> None:
    with probes() as url:
        assert requests.get(f"{url}/", timeout=10).status_code == 404


def test_callers_that_say_nothing_do_not_keep_probes_waiting_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.probes._Handler.timeout", 0.2)
    with probes() as url, ExitStack() as stack:
        port = int(url.rpartition(":")[2])
        for _ in range(20):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        assert requests.get(f"{url}/live", timeout=20).status_code == 200


def test_requests_are_answered_by_a_bounded_number_of_daemon_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.probes._Handler.timeout", 2)
    before = threading.active_count()
    with probes() as url, ExitStack() as stack:
        port = int(url.rpartition(":")[2])
        for _ in range(40):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        requests.get(f"{url}/live", timeout=20)
        assert threading.active_count() <= before + 9
        assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("Thread-"))
