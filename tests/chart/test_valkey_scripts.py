"""The scripts of the bundled Valkey, run: a real server with the rendered configuration, and the probes' verdicts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import AuthenticationError, Redis, RedisError

from deploy.local.valkey import valkey_binary
from tests.chart.rendering import render
from tests.servers import end, free_port, wait_until

#: Each character means something to a shell, to the reader of the configuration, or to a regular expression.
_PASSWORD = 'a "quoted\\" $(id) `x` \'é # %s &\\1'


def _files(root: Path, *, port: int = 6379) -> Path:
    """Write the ConfigMap's files below `root`, with the container's paths moved there; return the scripts' folder."""
    data = render().one("ConfigMap", "demo-marketplace-valkey")["data"]
    folder = root / "etc" / "valkey"
    folder.mkdir(parents=True, exist_ok=True)
    for place in ("etc/valkey-password", "run/valkey", "data", "bin"):
        (root / place).mkdir(parents=True, exist_ok=True)
    for name, text in data.items():
        moved = text.replace("port 6379", f"port {port}")
        for place in ("/etc/valkey", "/run/valkey"):
            moved = moved.replace(place, f"{root}{place}")
        (folder / name).write_text(moved.replace("dir /data", f"dir {root}/data"), encoding="utf-8")
    return folder


def _write_password(root: Path, password: str) -> None:
    (root / "etc" / "valkey-password" / "password").write_text(password, encoding="utf-8")


@contextmanager
def _started(root: Path, password: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    folder = _files(root, port=port)
    _write_password(root, password)
    server = root / "bin" / "valkey-server"
    server.unlink(missing_ok=True)
    server.symlink_to(valkey_binary())
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(
            ["sh", str(folder / "start.sh")],
            env={"PATH": f"{root}/bin:{os.environ['PATH']}"},
            stdout=log,
            stderr=log,
        )
    try:
        yield process, port
    finally:
        end(process)


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except AuthenticationError:
        raise
    except RedisError:
        return False


def test_the_server_takes_a_password_of_any_characters_and_shows_it_to_nobody(tmp_path: Path) -> None:
    with _started(tmp_path, _PASSWORD + "\n") as (process, port):
        client = Redis(port=port, password=_PASSWORD)
        wait_until(lambda: _answers(client), what="Valkey")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("maxmemory") == {"maxmemory": str(256 * 1024 * 1024)}
        with pytest.raises(AuthenticationError):
            Redis(port=port).ping()
        # `exec`: the server itself is the process that is told to stop.
        shown = Path(f"/proc/{process.pid}/cmdline").read_bytes() + Path(f"/proc/{process.pid}/environ").read_bytes()
        assert b"valkey-server" in shown
        assert b"quoted" not in shown
        assert (tmp_path / "run" / "valkey" / "password.conf").stat().st_mode & 0o777 == 0o600
        client.close()


def test_the_server_keeps_its_data_over_a_restart(tmp_path: Path) -> None:
    for found in (None, b"7"):
        with _started(tmp_path, "secret") as (_, port), Redis(port=port, password="secret") as client:
            wait_until(lambda client=client: _answers(client), what="Valkey")  # type: ignore[misc]
            assert client.get("kept") == found
            client.set("kept", 7)


def test_a_server_without_a_password_does_not_start(tmp_path: Path) -> None:
    with _started(tmp_path, "\n") as (process, _):
        assert process.wait(10) == 1
    assert "password of Valkey is empty" in (tmp_path / "log").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("answer", "is_ready", "is_alive"),
    [
        ("PONG", True, True),
        ("MISCONF Errors writing to the AOF file: No space left on device", True, True),
        ("LOADING Valkey is loading the dataset in memory", False, True),
        ("NOAUTH Authentication required.", False, True),
        ("", False, False),
    ],
    ids=["well", "full disk", "loading", "wrong password", "silent"],
)
def test_the_verdicts_of_the_probes(tmp_path: Path, answer: str, is_ready: bool, is_alive: bool) -> None:  # noqa: FBT001 -- a column of the table
    folder = _files(tmp_path)
    _write_password(tmp_path, "secret")
    client = tmp_path / "bin" / "valkey-cli"
    client.write_text(f'#!/bin/sh\necho "$REDISCLI_AUTH" >> {tmp_path}/auth\necho "{answer}"\n', encoding="utf-8")
    client.chmod(0o700)

    def passes(script: str) -> bool:
        environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
        return subprocess.run(["sh", str(folder / script)], env=environment, check=False).returncode == 0

    assert passes("ready.sh") is is_ready
    assert passes("live.sh") is is_alive
    # The first asked with the password, the second without.
    assert (tmp_path / "auth").read_text(encoding="utf-8").splitlines() == ["secret", ""]
