"""The guard: a tiny process that ends every process of a stack when its supervisor dies without a word.

Nothing that the supervisor does can help after `kill -9`, and the operating system's own means reach too short: Linux
has a signal on the parent's death, but not for grandchildren (gunicorn's workers), and macOS has none. So the guard
holds one end of a pipe. The supervisor writes the process groups that it starts and the ones that have ended; when the
pipe breaks, the groups that are left are killed.

Run as a script, with nothing imported but the standard library: it starts in 20 ms and holds 10 MB.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable


class Guard:
    """The supervisor's end of the pipe."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._process = self._start()

    @property
    def pid(self) -> int:
        """Process id of the guard."""
        return self._process.pid

    def watch(self, group: int) -> None:
        """Have this process group killed when the supervisor dies."""
        self._groups.add(group)
        self._tell(f"+{group}")

    def forget(self, group: int) -> None:
        """Leave this process group alone: it has ended."""
        self._groups.discard(group)
        self._tell(f"-{group}")

    def keep_alive(self) -> None:
        """Start the guard again if something ended it."""
        if self._process.poll() is not None:
            self.close()
            self._process = self._start()
            for group in self._groups:
                self._tell(f"+{group}")

    def close(self) -> None:
        """End the guard; it kills the groups that it still watches."""
        assert self._process.stdin is not None  # noqa: S101 -- it was started with a pipe
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 -- our own interpreter and file
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101 -- it was started with a pipe
        # A guard that has died hears everything again from `keep_alive`.
        with contextlib.suppress(OSError):
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()


def kill_group(group: int) -> None:
    """Kill whatever is left of a process group; nothing left is fine."""
    # macOS answers EPERM for a group that holds only zombies.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _watch(lines: Iterable[bytes]) -> None:
    groups: set[int] = set()
    for line in lines:
        change, group = line[:1], int(line[1:])
        if change == b"+":
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        kill_group(group)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _watch(sys.stdin.buffer)
