"""What processes use, as Linux tells it under /proc (see proc(5)): memory, CPU time, and connections to a port."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.stacks import children_of

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_ESTABLISHED = "01"


@dataclass(frozen=True)
class Memory:
    """Bytes of a process and its children.

    `resident` counts pages that processes share in each of them; `proportional` (PSS) counts them once, and is what a
    container of these processes alone would come near to.
    """

    resident: int
    proportional: int


def tree_of(pid: int) -> list[int]:
    """Return a process and all that come from it."""
    return [pid, *(below for child in children_of(pid) for below in tree_of(child))]


def memory_of(pid: int) -> Memory:
    """Return the memory of a process and its children; who ends meanwhile counts for nothing."""
    resident = proportional = 0
    for process in tree_of(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines():
                if line.startswith("Rss:"):
                    resident += _kilobytes(line)
                elif line.startswith("Pss:"):
                    proportional += _kilobytes(line)
    return Memory(resident * 1024, proportional * 1024)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and its children, of those that have ended and were waited for too."""
    ticks = 0
    for process in tree_of(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2]
            # utime, stime, and both of the children that were waited for.
            ticks += sum(map(int, fields.split()[11:15]))
    return ticks / _TICKS_A_SECOND


def connections_to(port: int, pid: int) -> int:
    """Return how many established TCP connections a process and its children have to this port."""
    sockets = set(_sockets_to(port))
    return sum(1 for process in tree_of(pid) for inode in _sockets_of(process) if inode in sockets)


def _kilobytes(line: str) -> int:
    return int(line.split()[1])


def _sockets_to(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        path = Path(f"/proc/net/{table}")
        lines: Iterable[str] = path.read_text(encoding="ascii").splitlines()[1:] if path.exists() else ()
        for fields in map(str.split, lines):
            if fields[3] == _ESTABLISHED and int(fields[2].rpartition(":")[2], 16) == port:
                yield fields[9]


def _sockets_of(pid: int) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = descriptor.readlink().name
                if target.startswith("socket:["):
                    yield target[len("socket:[") : -1]
