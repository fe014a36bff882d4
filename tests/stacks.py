"""Whole local stacks for the acceptance tests, started as users start them, each in a directory of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from app.cli.remote import Remote
from app.settings import DatabaseSettings
from app.storage.database import Database
from deploy.local.environment import is_setting
from tests.servers import wait_until

MARKETPLACE = str(Path(sys.executable).with_name("marketplace"))

#: More than a stack takes to start or to stop on a busy machine.
START_SECONDS = 80.0
STOP_SECONDS = 60.0
#: More than any command takes, the demo included.
COMMAND_SECONDS = 110.0


def clean_environment(**settings: str) -> dict[str, str]:
    """Return this process's environment with these settings and no others."""
    return {name: value for name, value in os.environ.items() if not is_setting(name)} | settings


def marketplace(*arguments: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end, with these settings and no others."""
    return subprocess.run(
        [MARKETPLACE, *arguments],
        cwd=cwd,
        env=clean_environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )


class RunningStack:
    """A `marketplace run` in `directory`, with its data in `directory/var`."""

    def __init__(self, directory: Path, process: subprocess.Popen[bytes]) -> None:
        self.directory = directory
        self.process = process
        self.data = directory / "var"

    @property
    def facts(self) -> dict[str, Any]:
        """What run.json says."""
        facts: dict[str, Any] = json.loads((self.data / "run.json").read_text())
        return facts

    @property
    def api(self) -> Remote:
        """The API, as admin."""
        return Remote(self.facts["urls"]["web"], self.token, direct=True)

    @property
    def token(self) -> str:
        """The admin token."""
        return (self.data / "admin-token").read_text().strip()

    def output(self) -> str:
        """Everything that the command has printed."""
        return (self.directory / "output").read_text()

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal to the supervisor, and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def pids(self) -> list[int]:
        """Return the ids of all processes of the stack: the supervisor, its children and theirs."""
        pids = [pid for value in self.facts["pids"].values() for pid in (value if isinstance(value, list) else [value])]
        return [*pids, *(child for pid in pids if pid != self.process.pid for child in children_of(pid))]


@contextmanager
def running_stack(directory: Path, *arguments: str, **settings: str) -> Iterator[RunningStack]:
    """Yield a stack that is ready; at the end it is stopped, and killed if that does not work.

    Without `--observe` among the arguments nothing observes it, whatever is on the PATH.
    """
    observing = [] if "--observe" in arguments else ["--no-observe"]
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(
            [MARKETPLACE, "run", *arguments, *observing],
            cwd=directory,
            env=clean_environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    stack = RunningStack(directory, process)
    try:
        # Ready when the banner has been printed, which comes after run.json.
        wait_until(
            lambda: process.poll() is not None or "Ctrl-C stops everything" in stack.output(),
            seconds=START_SECONDS,
            what="the stack to be ready",
        )
        assert process.poll() is None, stack.output()
        yield stack
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def database_of(stack: RunningStack) -> Iterator[Database]:
    """Yield the database of a stack that keeps it in SQLite."""
    database = Database(DatabaseSettings(url=SecretStr(stack.facts["database"])))
    try:
        yield database
    finally:
        database.close()


def children_of(pid: int) -> list[int]:
    """Return the ids of a process's children."""
    return [child for child, (parent, _) in _processes().items() if parent == pid]


def lives(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and waits for its parent does not."""
    return _processes().get(pid, (0, "Z"))[1] != "Z"


def command_line(pid: int) -> str:
    """Return the command line of a process, as every user of the machine can read it."""
    path = Path(f"/proc/{pid}/cmdline")
    if path.exists():
        return path.read_text().replace("\0", " ")
    return subprocess.run(["ps", "-o", "command=", "-p", str(pid)], check=True, capture_output=True, text=True).stdout


def _processes() -> dict[int, tuple[int, str]]:
    """Return parent and state of every process: from /proc, see proc(5), or where there is none (macOS) from ps(1)."""
    if Path("/proc/self/stat").exists():
        lines = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                state, parent = stat.read_text().rpartition(")")[2].split()[:2]
                lines.append((stat.parent.name, parent, state))
    else:
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], check=True, capture_output=True, text=True)
        lines = [(pid, parent, state) for pid, parent, state in map(str.split, listed.stdout.splitlines())]
    return {int(pid): (int(parent), state[0]) for pid, parent, state in lines}


def import_plan(api: Remote, title: str, channel: str, plan: Mapping[str, object]) -> str:
    """Bring in a plan, and return its id."""
    imported = api.post("analysis/import", {"title": title, "channels": [channel], "planData": plan})
    return str(imported["planId"])


def approve(api: Remote, plan_id: str) -> str:
    """Approve a plan, and return the id of its job."""
    return str(api.patch(f"analysis/{plan_id}", {"action": "approve"})["jobId"])
