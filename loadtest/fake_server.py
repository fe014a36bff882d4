"""The HTTP server that every fake service stands on, in threads of this process."""

from __future__ import annotations

import json
import select
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import FrameType
from typing import Any, ClassVar, Self

_LARGEST_REQUEST_BYTES = 20_000_000


class FakeServer(ThreadingHTTPServer):
    """Listens; port 0 takes a free one. As a context it runs from its beginning to its end."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self, handler: type[FakeHandler], *, host: str, port: int) -> None:
        super().__init__((host, port), handler)
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where the server listens, without a slash at the end."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """End the server and whatever still hangs or drips."""
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def server_bind(self) -> None:
        """Take the port without asking the resolver for this machine's name, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 -- the library's signature
        """Say nothing about clients that went away: whoever tests deadlines leaves early."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class FakeHandler(BaseHTTPRequestHandler):
    """Reads requests and writes answers."""

    protocol_version = "HTTP/1.1"
    timeout: ClassVar[float] = 120.0
    disable_nagle_algorithm = True
    server: FakeServer

    def log_message(self, *_arguments: object) -> None:
        """Write no line per request."""

    def body(self) -> bytes | None:
        """Return the request's body; None when it was refused, and the refusal sent."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _LARGEST_REQUEST_BYTES:
            self.close_connection = True
            self.error(HTTPStatus.LENGTH_REQUIRED, f"Content-Length must be 0 to {_LARGEST_REQUEST_BYTES}")
            return None
        return self.rfile.read(int(length))

    def parts(self) -> list[str]:
        """Return the parts of the path."""
        return [part for part in self.path.partition("?")[0].split("/") if part]

    def hang(self) -> None:
        """Never answer, until the client leaves."""
        self.close_connection = True
        while not self.server.stopping.wait(0.2):
            readable, _, _ = select.select([self.connection], [], [], 0)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                return

    def error(self, status: HTTPStatus, message: str, headers: Mapping[str, str] | None = None) -> None:
        """Answer that something is wrong."""
        self.json(status, {"error": {"message": message, "type": status.phrase}}, headers)

    def json(self, status: HTTPStatus, data: object, headers: Mapping[str, str] | None = None) -> None:
        """Answer JSON."""
        self.answer(status, json.dumps(data).encode(), headers)

    def answer(self, status: HTTPStatus, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Answer a body, which is JSON unless the headers say otherwise."""
        self.head(status, {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})})
        self.wfile.write(body)

    def head(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        """Send the status and the headers."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()


def serve_until_told(server: FakeServer, ready: str) -> None:
    """Run the server until SIGTERM or SIGINT, and say on standard output when it answers."""
    stop = threading.Event()

    def request_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, request_stop)
    signal.signal(signal.SIGINT, request_stop)
    with server:
        sys.stdout.write(f"{ready}\n")
        sys.stdout.flush()
        stop.wait()
