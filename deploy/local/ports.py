"""Ports on loopback: a default that is taken moves to the next free one, a port that the user chose does not."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.domain.errors import NetworkError

LOOPBACK = "127.0.0.1"

#: How many ports after a taken default are tried.
REACH = 20

#: Callers that wait while no server accepts.
_BACKLOG = 512


@dataclass(frozen=True)
class Port:
    """A port that was free, and is kept for this stack for as long as this object lives.

    `listener` listens already, for a server that can take it over: between choice and start nobody can come first, and
    while the server restarts, callers wait instead of being refused. `moved` tells why the port is not the default one.
    """

    number: int
    reservation: socket.socket
    listener: socket.socket
    moved: str = ""

    @property
    def url(self) -> str:
        """Where a server on it answers HTTP."""
        return f"http://{LOOPBACK}:{self.number}"

    def stop_listening(self) -> None:
        """Leave the port to the server that binds it, or has taken the listener over."""
        self.listener.close()

    def close(self) -> None:
        """Give the port up."""
        self.listener.close()
        self.reservation.close()


def default_port(default: int, *, purpose: str) -> Port:
    """Return the default port, or the next free one within `REACH`.

    Raises:
        NetworkError: None of them is free.
    """
    for number in range(default, default + REACH + 1):
        port = _take(number, moved="" if number == default else f"{default} is taken{_by_whom(default)}")
        if port is not None:
            return port
    raise NetworkError(f"{purpose}: no free port from {default} to {default + REACH} on {LOOPBACK}")


def chosen_port(number: int, *, purpose: str) -> Port:
    """Return the port that the user chose.

    Raises:
        NetworkError: It is taken; the text names the port and, where it can be seen, the process that holds it.
    """
    port = _take(number)
    if port is None:
        raise NetworkError(f"{purpose}: port {number} on {LOOPBACK} is taken{_by_whom(number)}")
    return port


def _take(number: int, moved: str = "") -> Port | None:
    """Return the port, None when it is taken.

    Most servers bind their port themselves, and later. In between, two stacks that start at the same moment would take
    the same one: so each holds the UDP port of the same number, which nothing else uses and which the system gives back
    by itself when the process dies.
    """
    port = Port(
        number,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        moved,
    )
    try:
        port.reservation.bind((LOOPBACK, number))
        # As servers do: connections that a previous run left in TIME_WAIT do not count as taken.
        port.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port.listener.bind((LOOPBACK, number))
        port.listener.listen(_BACKLOG)
    except OSError:
        port.close()
        return None
    return port


def _by_whom(number: int) -> str:
    holder = holder_of(number)
    return f" by {holder}" if holder else ""


def holder_of(number: int) -> str | None:
    """Return name and id of the process that listens on a TCP port; None when that cannot be seen (Linux only)."""
    inodes = set(_listening_inodes(number))
    if not inodes:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        # Processes come and go, and those of other users are closed to us.
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()).removeprefix("socket:") in inodes:
                    return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return None


def _listening_inodes(number: int) -> Iterator[str]:
    """Yield the inodes of the sockets that listen on a port, as `[12345]`; the format is that of proc(5)."""
    listening = "0A"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not os.access(table, os.R_OK):
            continue
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == listening and int(fields[1].rpartition(":")[2], 16) == number:
                yield f"[{fields[9]}]"
