from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from app.cli.health import role_of
from tests.servers import free_port
from tests.web_process import MARKETPLACE, environment, running_web
from worker.probes import serve_probes


def health(*arguments: str, **settings: str) -> tuple[int, str]:
    """Run the command as a container does; return its exit code and its only line."""
    run = subprocess.run(
        [MARKETPLACE, "health", *arguments],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert run.stderr == ""
    (line,) = run.stdout.splitlines()
    return run.returncode, line


@contextmanager
def answering(status: int, body: object) -> Iterator[tuple[int, list[str]]]:
    """Yield the port of a server that answers alike to everything, and the paths that it is asked for."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port, paths
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.process
def test_a_web_process_that_can_serve_is_well(sqlite_template: Path, redis_url: str, tmp_path: Path) -> None:
    shutil.copyfile(sqlite_template, tmp_path / "marketplace.db")
    with running_web(f"sqlite:///{tmp_path / 'marketplace.db'}", redis_url, tmp_path) as web:
        port = web.url.rpartition(":")[2]
        given = {"MARKETPLACE_WEB__HOST": "0.0.0.0", "PORT": port}
        assert health("web", **given) == (0, "web: ready: database connected, redis connected")
        assert health("web", "--live", **given) == (0, "web: alive")


@pytest.mark.parametrize("role", ["worker", "scheduler"])
def test_worker_and_scheduler_tell_their_problems_on_the_metrics_port(role: str) -> None:
    port = free_port()
    wrong: list[str] = []
    server = serve_probes("127.0.0.1", port, CollectorRegistry(), lambda: wrong)
    given = {f"MARKETPLACE_{role.upper()}__METRICS_PORT": str(port)}
    assert health(role, **given) == (0, f"{role}: ready")
    assert health(role, "--live", **given) == (0, f"{role}: alive")
    wrong[:] = ["the sweeper hangs", "a thread died"]
    assert health(role, **given) == (1, f"{role}: not_ready: problems the sweeper hangs; a thread died")
    assert health(role, "--live", **given) == (1, f"{role}: unwell: problems the sweeper hangs; a thread died")
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("flags", "path"), [((), "/health/ready"), (("--live",), "/health/live")])
def test_the_relay_is_asked_at_its_own_port(flags: tuple[str, ...], path: str) -> None:
    with answering(503, {"status": "not_ready"}) as (port, paths):
        assert health("relay", *flags, MARKETPLACE_RELAY__PORT=str(port)) == (1, "relay: not_ready")
    assert paths == [path]


def test_what_is_no_answer_of_ours_is_unwell() -> None:
    with answering(500, "out of order") as (port, _):
        assert health("web", PORT=str(port)) == (1, "web: HTTP 500")


def test_a_process_that_is_not_there_is_unwell() -> None:
    port = free_port()
    assert health("web", PORT=str(port)) == (1, f"web: does not answer at 127.0.0.1:{port} (ConnectionRefusedError)")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "worker: MARKETPLACE_WORKER__METRICS_PORT: is not set"),
        ({"MARKETPLACE_WORKER__METRICS_PORT": "x"}, "worker: MARKETPLACE_WORKER__METRICS_PORT: "),
    ],
)
def test_settings_that_cannot_be_are_told_on_the_line(given: dict[str, str], words: str) -> None:
    code, line = health("worker", **given)
    assert code == 1
    assert line.startswith(words)


def test_it_imports_nothing_heavy() -> None:
    heavy = ["sqlalchemy", "flask", "redis", "requests", "dramatiq", "prometheus_client", "alembic", "gunicorn"]
    program = f"import sys, app.cli.main, app.cli.health; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "role"),
    [
        (["tini", "--", "marketplace", "web", ""], "web"),
        (["tini", "--", "/opt/marketplace/bin/marketplace", "worker", "--quarantine", ""], "worker"),
        (["tini", "--", "marketplace", "db", "upgrade", ""], None),
        (["tini", "--", "marketplace", ""], None),
        (["/sbin/init", ""], None),
    ],
)
def test_the_role_is_that_of_the_first_process(words: list[str], role: str | None, tmp_path: Path) -> None:
    (tmp_path / "cmdline").write_bytes("\0".join(words).encode())
    assert role_of(tmp_path / "cmdline") == role
    assert role_of(tmp_path / "missing") is None
