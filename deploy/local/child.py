"""One process of the stack: started in a session of its own, logged to a file, ended with all its children."""

from __future__ import annotations

import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.guard import Guard, kill_group
from deploy.local.restarts import Restarts


@dataclass(frozen=True)
class Program:
    """What to run.

    `is_ready` is asked until it says yes, and must answer within a second. `stop_seconds` is how long the process may
    take to finish its work after SIGTERM. A program that runs `once` is ready when it has ended well. `sockets` are
    file descriptors that the process takes over under the same numbers.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    is_ready: Callable[[], bool] = lambda: True
    stop_seconds: float = 5.0
    once: bool = False
    sockets: tuple[int, ...] = ()


class Child:
    """A program, and the process that runs it, if one does."""

    def __init__(self, program: Program, log: Path, guard: Guard) -> None:
        self.program = program
        self.log = log
        self.restarts = Restarts()
        self.started_at = 0.0
        self.restart_at: float | None = None
        self.is_ready = False
        self._guard = guard
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """Name of the program."""
        return self.program.name

    @property
    def pid(self) -> int | None:
        """Id of the running process."""
        return self._process.pid if self._process else None

    def start(self, now: float) -> None:
        """Start the process; its output is added to the log. `now` is any monotonic clock."""
        self.started_at = now
        self.restart_at = None
        self.is_ready = False
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C in the terminal must reach the supervisor only.
            self._process = subprocess.Popen(  # noqa: S603 -- the programs of our own stack
                self.program.arguments,
                env=dict(self.program.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=self.program.sockets,
            )
        self._guard.watch(self._process.pid)

    def ended(self) -> int | None:
        """Return how the process ended (as `Popen.returncode`), once; None while it runs or when there is none."""
        if self._process is None:
            return None
        code = self._process.poll()
        if code is not None:
            # Children of a master that was killed would keep its port.
            kill_group(self._process.pid)
            self._guard.forget(self._process.pid)
            self._process = None
        return code

    def has_gone(self) -> bool:
        """Tell whether no process is left."""
        return self.ended() is not None or self._process is None

    def terminate(self) -> None:
        """Ask the process to finish; only the master hears it, for it tells its own children."""
        if self._process:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process and all its children at once."""
        if self._process:
            kill_group(self._process.pid)

    def last_lines(self, count: int = 20) -> list[str]:
        """Return the end of the log."""
        with self.log.open(encoding="utf-8", errors="replace") as lines:
            return [line.rstrip("\n") for line in deque(lines, maxlen=count)]


def how_it_ended(code: int) -> str:
    """Return words for a return code of `subprocess`.

    >>> how_it_ended(-9), how_it_ended(3)
    ('killed by SIGKILL', 'ended with code 3')
    """
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
