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
def probes(
    problems: Callable[[], Sequence[str]] = list,
    host: str = "127.0.0.1",
    has_started: Callable[[], bool] = lambda: True,
) -> Iterator[str]:
    registry = CollectorRegistry()
    Counter("things", "Things", registry=registry).inc()
    server: ProbeServer = serve_probes(host, 0, registry, problems, has_started=has_started)
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


def test_a_process_that_works_is_ready() -> None:
    with probes() as url:
        answer = requests.get(f"{url}/ready", timeout=10)
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "problems": []})


def test_a_process_that_waits_for_its_database_is_alive_and_not_ready() -> None:
    with probes(lambda: ["nobody may ask yet"], has_started=lambda: False) as url:
        live, ready = (requests.get(f"{url}{path}", timeout=10) for path in ("/live", "/ready"))
    assert (live.status_code, live.json()) == (200, {"status": "alive", "problems": []})
    assert (ready.status_code, ready.json()) == (503, {"status": "not_ready", "problems": []})


def test_a_process_that_is_not_well_is_not_ready() -> None:
    with probes(lambda: ["the heartbeat is dead"]) as url:
        answer = requests.get(f"{url}/ready", timeout=10)
    assert (answer.status_code, answer.json()) == (503, {"status": "not_ready", "problems": ["the heartbeat is dead"]})


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
