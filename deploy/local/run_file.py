"""What a running stack leaves for others to find: who holds the data directory, and where the stack is."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from app.domain.errors import ConfigurationError, ConflictError


class DataDirectory:
    """The folder that a local stack keeps everything in.

    Held by one supervisor at a time: by a lock on a file, which the system gives back when the process dies, so that
    nothing stale is left after `kill -9`. `run.json` is there from the moment when the stack is ready, and tells:
    `urls`, `workerMetrics`, `pids`, `database` (no password), `dataDir`, `runId`, `startedAt`, `state`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.admin_token = self.path / "admin-token"
        #: What signs events, and what Alertmanager shows to the relay.
        self.events_secret = self.path / "events-secret"
        self.alertmanager_token = self.path / "alertmanager-token"
        self.relay = self.path / "relay.db"
        self.logs = self.path / "logs"
        self.processes = self.path / "processes"
        self._run_file = self.path / "run.json"
        self._lock_file = self.path / "run.lock"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the directory; a `run.json` that a killed supervisor left is removed.

        Raises:
            ConflictError: Another supervisor holds it.
            ConfigurationError: The directory cannot be made or written.
        """
        with self._open_lock_file() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConflictError(f"another stack runs in {self.path}") from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            self.forget()
            try:
                yield
            finally:
                self.forget()
                lock.truncate(0)

    def _open_lock_file(self) -> TextIO:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            return self._lock_file.open("a+", encoding="ascii")
        except OSError as error:
            raise ConfigurationError(f"{self.path}: cannot be written ({error.strerror})") from None

    def holder(self) -> int | None:
        """Return the process id of the supervisor that holds the directory, None when nobody does."""
        try:
            with self._lock_file.open(encoding="ascii") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    text = lock.read()
                    return int(text) if text else None
        except FileNotFoundError:
            pass
        return None

    def announce(self, facts: dict[str, Any]) -> None:
        """Write `run.json`; a reader sees the old one or the new one, whole."""
        new = self._run_file.with_suffix(".new")
        new.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        new.replace(self._run_file)

    def announced(self) -> dict[str, Any] | None:
        """Return what `run.json` says of the stack that runs here, None when none is ready."""
        if self.holder() is None:
            return None
        try:
            facts: dict[str, Any] = json.loads(self._run_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return facts

    def clear(self) -> None:
        """Remove what stacks have kept here, and nothing else; for a caller who holds the directory."""
        for name in ("admin-token", "events-secret", "alertmanager-token", "agents.yaml"):
            (self.path / name).unlink(missing_ok=True)
        for database in (*self.path.glob("marketplace.db*"), *self.path.glob("relay.db*")):
            database.unlink()
        for folder in ("logs", "processes", "valkey"):
            shutil.rmtree(self.path / folder, ignore_errors=True)

    def forget(self) -> None:
        """Remove `run.json`."""
        self._run_file.unlink(missing_ok=True)


def as_typed(path: Path) -> str:
    """Return a path as one would type it in the current directory."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
