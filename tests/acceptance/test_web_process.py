"""The web process as users start it: what only a real server on a real socket can show."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.pdf import pdf_saying
from tests.servers import free_port, wait_until
from tests.stacks import children_of, command_line, lives
from tests.web_process import MARKETPLACE, Web, environment, running_web

pytestmark = pytest.mark.process

ANALYSIS = "/api/marketplace/analysis"


@pytest.fixture(scope="module")
def web(sqlite_template: Path, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Return a web process on SQLite, with small limits."""
    directory = tmp_path_factory.mktemp("web")
    database = directory / "marketplace.db"
    database.write_bytes(sqlite_template.read_bytes())
    limits = {"MARKETPLACE_WEB__MAX_BODY_BYTES": "100000", "MARKETPLACE_WEB__MAX_UPLOAD_BYTES": "100000"}
    with running_web(f"sqlite:///{database}", redis_url, directory, **limits) as web:
        yield web


def test_the_acceptance_script_of_the_redis_story_works(web: Web) -> None:
    answer = requests.get(f"{web.url}/api/health/redis", timeout=5)
    assert answer.json()["status"] == "connected"
    assert answer.json()["latency"].endswith("ms")


def test_a_body_of_unknown_length_is_limited_as_well(web: Web) -> None:
    def chunks() -> Iterator[bytes]:
        # Whoever cuts it anywhere after its first line has sound JSON.
        yield b'{"channels": ["amazon"]}'
        for _ in range(200):
            yield b" " * 1000

    answer = requests.post(
        web.url + ANALYSIS, data=chunks(), headers={**web.headers, "Content-Type": "application/json"}, timeout=10
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_small_body_of_unknown_length_is_read(web: Web) -> None:
    answer = requests.post(
        web.url + ANALYSIS,
        data=iter([b'{"channels": ', b'["amazon"]}']),
        headers={**web.headers, "Content-Type": "application/json"},
        timeout=10,
    )
    assert answer.status_code == 202


def test_a_huge_body_is_refused_before_it_is_sent(web: Web) -> None:
    host, port = web.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            f"POST {ANALYSIS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {web.token}\r\n"
            "Content-Type: application/json\r\nContent-Length: 10000000000\r\n\r\n".encode()
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_pdf_is_read_by_the_real_server(web: Web) -> None:
    answer = requests.post(
        f"{web.url}{ANALYSIS}/upload",
        data={"channels": ["amazon", "shopee"]},
        files={"file": ("a.pdf", pdf_saying("Winter boots"))},
        headers=web.headers,
        timeout=30,
    )
    assert answer.status_code == 202
    plan = requests.get(f"{web.url}{ANALYSIS}/{answer.json()['planId']}", headers=web.headers, timeout=10).json()
    assert "Winter boots" in plan["context"]


def test_the_log_is_json_and_holds_no_secret(web: Web) -> None:
    requests.get(web.url + ANALYSIS, headers=web.headers, timeout=10)
    lines = [json.loads(line) for line in web.log.read_text().splitlines()]
    events = {line["event"] for line in lines}
    assert {"web_started", "request_ended"} <= events
    assert web.token not in web.log.read_text()


def test_nobody_can_read_a_secret_from_the_list_of_processes(web: Web) -> None:
    command = command_line(web.process.pid)
    assert "gunicorn" in command
    assert web.token not in command
    assert "redis://" not in command


def test_sigterm_lets_requests_in_flight_finish(sqlite_template: Path, redis_url: str, tmp_path: Path) -> None:
    database = tmp_path / "marketplace.db"
    database.write_bytes(sqlite_template.read_bytes())
    with running_web(f"sqlite:///{database}", redis_url, tmp_path) as web, ThreadPoolExecutor(1) as caller:
        host, port = web.url.removeprefix("http://").split(":")
        body = b'{"channels": ["amazon"]}'
        head = (
            f"POST {ANALYSIS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {web.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(head + body[:5])
            wait_until(lambda: requests.get(f"{web.url}/api/health/live", timeout=5).ok, what="the server")
            web.process.send_signal(signal.SIGTERM)
            wait_until(lambda: is_silent(web), what="the end of accepting")
            connection.sendall(body[5:])
            answer = caller.submit(connection.recv, 100).result(10)
        assert answer.startswith(b"HTTP/1.1 202 ")
        assert web.process.wait(15) == 0


def test_a_second_sigterm_ends_the_server_at_once(sqlite_template: Path, redis_url: str, tmp_path: Path) -> None:
    database = tmp_path / "marketplace.db"
    database.write_bytes(sqlite_template.read_bytes())
    with running_web(
        f"sqlite:///{database}", redis_url, tmp_path, MARKETPLACE_WEB__GRACEFUL_TIMEOUT_SECONDS="60"
    ) as web:
        host, port = web.url.removeprefix("http://").split(":")
        children = children_of(web.process.pid)
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(f"POST {ANALYSIS} HTTP/1.1\r\nHost: x\r\nContent-Le".encode())
            wait_until(lambda: requests.get(f"{web.url}/api/health/live", timeout=5).ok, what="the server")
            web.process.send_signal(signal.SIGTERM)
            wait_until(lambda: is_silent(web), what="the end of accepting")
            assert web.process.poll() is None
            web.process.send_signal(signal.SIGTERM)
            assert web.process.wait(10) == 1
        wait_until(lambda: not any(map(lives, children)), what="its children to go")
        assert children


@pytest.mark.parametrize(
    ("name", "value"),
    [("MARKETPLACE_WEB__PROT", "secret"), ("PORT", "secret"), ("MARKETPLACE_AGENTS__ITEMS", '[{"secret": 1}]')],
)
def test_settings_that_cannot_work_are_told_in_our_words(name: str, value: str) -> None:
    ended = subprocess.run(
        [MARKETPLACE, "web"], env=environment(**{name: value}), capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: ")
    assert "Traceback" not in ended.stderr
    assert value not in ended.stderr


def test_a_taken_port_ends_the_process(sqlite_template: Path, redis_url: str, tmp_path: Path) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        ended = subprocess.run(
            [MARKETPLACE, "web"],
            env=environment(PORT=str(port), REDIS_URL=redis_url, DATABASE_URL=f"sqlite:///{tmp_path / 'a.db'}"),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert ended.returncode != 0
    assert str(port) in ended.stderr
    assert sqlite_template.exists()


def is_silent(web: Web) -> bool:
    """Tell whether a new call gets no answer any more."""
    try:
        requests.get(f"{web.url}/api/health/live", timeout=0.5)
    except requests.RequestException:
        return True
    return False
