"""Processes that send alerts to the relay, one a request, over connections that are kept."""

from __future__ import annotations

import json
import multiprocessing
import socket
import time
from datetime import UTC, datetime, timedelta

from tests.relay_process import TOKEN, alert, webhook

#: Alerts of one connection are of so many issues.
_ISSUES = 50


def accepted_in(port: int, *, processes: int, connections: int, seconds: float) -> int:
    """Return how many requests were answered 200 within so many seconds, whatever is under way then."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes) as pool:
        work = [(port, TOKEN, number, connections, seconds) for number in range(processes)]
        return sum(pool.starmap(_send, work, chunksize=1))


def _send(port: int, token: str, number: int, connections: int, seconds: float) -> int:
    open_connections = [_Connection(port, token, f"{number}-{place}") for place in range(connections)]
    end = time.monotonic() + seconds
    accepted = 0
    for connection in open_connections:
        connection.send()
    while time.monotonic() < end:
        for connection in open_connections:
            accepted += connection.answered()
            connection.send()
    return accepted


class _Connection:
    """One kept connection; requests are made of few parts, for the senders share the machine with the relay."""

    def __init__(self, port: int, token: str, name: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._templates = [_template(f"agent-{name}-{issue}") for issue in range(_ISSUES)]
        self._head = f"POST /alerts HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer {token}\r\nContent-Length: "
        self._began_at = datetime.now(UTC)
        self._sent = 0

    def send(self) -> None:
        began_at = (self._began_at + timedelta(milliseconds=self._sent)).isoformat(timespec="microseconds")
        body = self._templates[self._sent % _ISSUES].replace(b"BEGAN_AT", began_at.encode())
        self._socket.sendall(f"{self._head}{len(body)}\r\n\r\n".encode() + body)
        self._sent += 1

    def answered(self) -> bool:
        answer = b""
        while not answer.endswith(b"}"):
            part = self._socket.recv(65536)
            if not part:
                return False
            answer += part
        return answer.startswith(b"HTTP/1.1 200")


def _template(agent: str) -> bytes:
    return json.dumps(json.loads(webhook(alert(agent, startsAt="BEGAN_AT")))).encode()
