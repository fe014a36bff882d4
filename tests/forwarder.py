"""A loopback port that leads to another one, which can change: an address that outlives a fail-over."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Forwarder:
    """Forwards new connections to where it leads at that moment; those that are open stay where they are."""

    def __init__(self, url: str) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        parts = urlsplit(url)
        port = self._listener.getsockname()[1]
        self.url = parts._replace(netloc=f":{parts.password}@127.0.0.1:{port}").geturl()
        self._port = parts.port

    def lead_to(self, url: str) -> None:
        """Lead new connections to the server of this URL."""
        self._port = urlsplit(url).port

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closing alone would leave `accept` waiting.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                outer, _ = self._listener.accept()
                inner = socket.create_connection(("127.0.0.1", self._port or 0))
                for source, target in ((outer, inner), (inner, outer)):
                    threading.Thread(target=_copy, args=(source, target), daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError), source:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
