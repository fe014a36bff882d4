"""A server of bare sockets, for answers that no HTTP server would give."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

#: What a server does with one connection; the event is set when the server ends.
Script = Callable[[socket.socket, threading.Event], None]


@dataclass
class RawServer:
    """Where the server is, and the first bytes of each request that it was sent."""

    port: int
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The URL of the server, over plain HTTP."""
        return f"http://127.0.0.1:{self.port}/agent"


@contextmanager
def raw_server(script: Script | bytes, *, tls: ssl.SSLContext | None = None, reads: bool = True) -> Iterator[RawServer]:
    """Yield a server that plays the script on each connection, or sends these bytes and closes.

    It reads the request's headers first, unless `reads` is off.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    server = RawServer(listener.getsockname()[1])
    ending = threading.Event()

    def play(connection: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            connection,
            tls.wrap_socket(connection, server_side=True) if tls else connection as speaking,
        ):
            if reads:
                server.requests.append(speaking.recv(65536))
            if not isinstance(script, bytes):
                script(speaking, ending)
                return
            speaking.sendall(script)
            speaking.shutdown(socket.SHUT_WR)
            # Closing with something unread resets the connection, and the answer may be lost with it.
            while speaking.recv(65536):
                pass

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=play, args=(connection,), daemon=True).start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield server
    finally:
        ending.set()
        # A blocked accept does not notice that its socket was closed; shutting it down wakes it.
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(5)
