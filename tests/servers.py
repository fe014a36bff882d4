"""Real servers for the tests: started on free loopback ports, ended by their own process id."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psycopg
import redis
from psycopg import sql

from deploy.local.valkey import valkey_binary, write_valkey_config

_T = TypeVar("_T")


@contextmanager
def taken_port(port: int) -> Iterator[None]:
    """Hold a loopback port, so that nobody else can have it; when somebody else has it already, that is as good."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            taken.bind(("127.0.0.1", port))
            taken.listen()
        yield


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], _T], *, seconds: float = 20.0, what: str = "the condition") -> _T:
    """Return the first truthy value of `condition`, asked again and again; fail after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.02)


@contextmanager
def ended(process: subprocess.Popen[bytes], *, seconds: float = 10.0) -> Iterator[subprocess.Popen[bytes]]:
    """Yield the process, and end it by its own id."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def running_valkey(directory: Path, *, port: int | None = None, password: str | None = None) -> Iterator[str]:
    """Yield the URL, with its password, of a Valkey server of its own; its data stay in the directory."""
    port = port or free_port()
    password = password or secrets.token_hex(16)
    config = write_valkey_config(directory, port=port, password=password)
    log = (directory / "valkey.log").open("ab")
    process = subprocess.Popen([str(valkey_binary()), str(config)], stdout=log, stderr=log)
    with log, ended(process):
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        client = redis.Redis.from_url(url)

        def answers() -> bool:
            with contextlib.suppress(redis.RedisError):
                return bool(client.ping())
            return False

        wait_until(answers, what="Valkey")
        client.close()
        yield url


def postgres_binaries() -> Path | None:
    """Return the folder with `initdb` and `postgres`, newest version first, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]), reverse=True)
    if found:
        return found[0].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


@contextmanager
def running_postgres(binaries: Path) -> Iterator[str]:
    """Yield the URL of a PostgreSQL cluster of its own; as root it runs under the account `postgres` or `nobody`."""
    user = _unprivileged_user() if os.geteuid() == 0 else None
    home = Path(tempfile.mkdtemp(prefix="marketplace-pg-"))
    data, port, password = home / "data", free_port(), secrets.token_hex(16)
    try:
        password_file = home / "password"
        password_file.write_text(password)
        if user:
            for path in (home, password_file):
                shutil.chown(path, user)
        subprocess.run(
            [
                str(binaries / "initdb"),
                *("-D", str(data), "-U", "marketplace", "-A", "scram-sha-256"),
                *(f"--pwfile={password_file}", "-E", "UTF8", "--locale=C", "--no-sync"),
            ],
            check=True,
            capture_output=True,
            user=user,
            cwd=home,
        )
        with (home / "log").open("ab") as log:
            process = subprocess.Popen(
                [
                    str(binaries / "postgres"),
                    *("-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(home)),
                    *("-c", "fsync=off", "-c", "max_connections=300"),
                ],
                stdout=log,
                stderr=log,
                user=user,
                cwd=home,
            )
            with ended(process):
                url = f"postgresql://marketplace:{password}@127.0.0.1:{port}/postgres"

                def answers() -> bool:
                    with contextlib.suppress(psycopg.OperationalError):
                        psycopg.connect(url).close()
                        return True
                    return False

                wait_until(answers, what="PostgreSQL")
                yield url
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def postgres_database(server_url: str, *, template: str = "template1") -> Iterator[str]:
    """Yield the URL of a new database on the server, a copy of `template`; it is dropped at the end."""
    name = f"test_{secrets.token_hex(8)}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(create)
    try:
        yield server_url.rpartition("/")[0] + "/" + name
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _unprivileged_user() -> str:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise AssertionError("PostgreSQL does not run as root, and there is no account 'postgres' or 'nobody'")
