"""Real servers for the tests: started on free loopback ports, ended by their own process id."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
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
        end(process, seconds=seconds)


def end(process: subprocess.Popen[bytes], *, seconds: float = 10.0) -> None:
    """End a process by its own id: with SIGTERM, and after `seconds` with SIGKILL."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class ValkeyServer:
    """A Valkey server of its own, with a password; its data stay in the directory when it is stopped or killed."""

    def __init__(self, directory: Path, *, port: int | None = None, password: str | None = None) -> None:
        port, password = port or free_port(), password or secrets.token_hex(16)
        self.url = f"redis://:{password}@127.0.0.1:{port}/0"
        self._directory = directory
        self._config = write_valkey_config(directory, port=port, password=password)
        self._log = directory / "valkey.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen([str(valkey_binary()), str(self._config)], stdout=log, stderr=log)
        wait_until(self._answers, what="Valkey")

    def kill(self) -> None:
        """End it with SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def forget(self) -> None:
        """Remove its data, while it does not run."""
        shutil.rmtree(self._directory / "appendonlydir")

    def stop(self) -> None:
        """End it, by its own process id."""
        if self.process is not None:
            end(self.process)

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError), redis.Redis.from_url(self.url) as client:
            return bool(client.ping())
        return False


@contextmanager
def running_valkey(directory: Path, *, port: int | None = None, password: str | None = None) -> Iterator[str]:
    """Yield the URL, with its password, of a Valkey server of its own; its data stay in the directory."""
    server = ValkeyServer(directory, port=port, password=password)
    try:
        server.start()
        yield server.url
    finally:
        server.stop()


def postgres_binaries() -> Path | None:
    """Return the folder with `initdb` and `postgres`, newest version first, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]), reverse=True)
    if found:
        return found[0].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


class PostgresServer:
    """A PostgreSQL cluster of its own; as root it runs under the account `postgres` or `nobody`."""

    def __init__(self, binaries: Path, home: Path) -> None:
        self._binaries = binaries
        self._home = home
        self._user = _unprivileged_user() if os.geteuid() == 0 else None
        self._port, password = free_port(), secrets.token_hex(16)
        self.url = f"postgresql://marketplace:{password}@127.0.0.1:{self._port}/postgres"
        self._process: subprocess.Popen[bytes] | None = None
        password_file = home / "password"
        password_file.write_text(password)
        if self._user:
            for path in (home, password_file):
                shutil.chown(path, self._user)
        subprocess.run(
            [
                str(binaries / "initdb"),
                *("-D", str(home / "data"), "-U", "marketplace", "-A", "scram-sha-256"),
                *(f"--pwfile={password_file}", "-E", "UTF8", "--locale=C", "--no-sync"),
            ],
            check=True,
            capture_output=True,
            user=self._user,
            cwd=home,
        )

    @property
    def pid(self) -> int:
        """Id of the server's first process, while it runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self._binaries / "postgres"),
                    *("-D", str(self._home / "data"), "-h", "127.0.0.1", "-p", str(self._port), "-k", str(self._home)),
                    *("-c", "fsync=off", "-c", "max_connections=300"),
                ],
                stdout=log,
                stderr=log,
                user=self._user,
                cwd=self._home,
            )
        wait_until(self._answers, what="PostgreSQL")

    def kill(self) -> None:
        """End it at once, without a last checkpoint: the next start recovers what was committed."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()

    def stop(self) -> None:
        """End it and every connection to it, by its own process id: a fast shutdown."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(10.0)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait()

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(self.url).close()
            return True
        return False


@contextmanager
def running_postgres(binaries: Path) -> Iterator[str]:
    """Yield the URL of a PostgreSQL cluster of its own."""
    with postgres_server_in(binaries) as server:
        yield server.url


@contextmanager
def postgres_server_in(binaries: Path) -> Iterator[PostgresServer]:
    """Yield a PostgreSQL cluster of its own that runs; its data are gone at the end."""
    home = Path(tempfile.mkdtemp(prefix="marketplace-pg-"))
    try:
        server = PostgresServer(binaries, home)
        try:
            server.start()
            yield server
        finally:
            server.stop()
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
