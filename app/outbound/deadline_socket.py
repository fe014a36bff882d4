"""A socket whose every byte comes under one deadline and one budget.

Socket timeouts hold for one read only: a server that sends a byte now and then keeps a call for as long as it likes.
"""

from __future__ import annotations

import io
import socket
from typing import TYPE_CHECKING

from app.domain.deadline import Deadline
from app.domain.errors import BadAnswerError, DeadlineExceededError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class DeadlineSocket:
    """What `http.client` needs of a connected socket. Closing the socket is its owner's business.

    `budget_bytes` bounds everything that is read: endless headers, chunk extensions and trailers included.
    """

    def __init__(self, connected: socket.socket, deadline: Deadline, *, budget_bytes: int) -> None:
        self._socket = connected
        self._deadline = deadline
        self._budget_bytes = budget_bytes

    def sendall(self, data: ReadableBuffer) -> None:
        """Send everything; raises `DeadlineExceededError`, or OSError as sockets do."""
        rest = memoryview(data).cast("B")
        while rest:
            self._arm()
            rest = rest[self._socket.send(rest) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return a stream of what arrives."""
        return io.BufferedReader(_Arrivals(self))

    def close(self) -> None:
        """Do nothing: see the class."""

    def receive_into(self, buffer: WriteableBuffer) -> int:
        """Wait for bytes; raises `DeadlineExceededError`, `BadAnswerError`, or OSError as sockets do."""
        self._arm()
        received = self._socket.recv_into(buffer)
        self._budget_bytes -= received
        if self._budget_bytes < 0:
            raise BadAnswerError("the answer is too big")
        return received

    def _arm(self) -> None:
        seconds = self._deadline.remaining_seconds
        if not seconds:
            raise DeadlineExceededError("no complete answer in time")
        self._socket.settimeout(seconds)


class _Arrivals(io.RawIOBase):
    def __init__(self, source: DeadlineSocket) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        return self._source.receive_into(buffer)
