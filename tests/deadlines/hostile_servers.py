"""Servers that would hold a call for ever, or fill the memory, and the error that each one must end in."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import trustme

from app.domain.errors import (
    BadAnswerError,
    DeadlineExceededError,
    MarketplaceError,
    NetworkError,
    RemoteServerError,
)
from tests.raw_server import Script, raw_server

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_DRIP_SECONDS = 0.5
_HUGE_BYTES = 50_000_000


@dataclass(frozen=True)
class Hostile:
    """One server: what it does with a connection, and the error that a call to it must end in.

    Without `reads` the request is not read; with `tls` the URL is https and the handshake the script's business, with
    `tls_works` it succeeds. `accepts` off leaves connections without an answer; `resolves` off leaves its name without
    an address. A `long_question` is longer than what a connection buffers.
    """

    name: str
    title: str
    expected: type[MarketplaceError]
    script: Script | bytes = b""
    reads: bool = True
    tls: bool = False
    tls_works: bool = False
    accepts: bool = True
    resolves: bool = True
    long_question: bool = False

    @contextmanager
    def running(self) -> Iterator[tuple[str, str | None]]:
        """Yield its URL, and the authority of its certificate in PEM where it has one."""
        if not self.resolves:
            yield "http://silent.example/agent", None
            return
        if not self.accepts:
            with _full_queue() as port:
                yield f"http://127.0.0.1:{port}/agent", None
            return
        context, authority = _tls() if self.tls_works else (None, None)
        with raw_server(self.script, tls=context, reads=self.reads) as server:
            scheme = "https" if self.tls else "http"
            yield f"{scheme}://127.0.0.1:{server.port}/agent", authority


def _silent(_connection: socket.socket, ending: threading.Event) -> None:
    ending.wait()


def _dripping(data: bytes, *, after: bytes = b"") -> Script:
    """Send one byte after the other, all of `after` at once before them."""

    def drip(connection: socket.socket, ending: threading.Event) -> None:
        connection.sendall(after)
        for position in range(len(data)):
            connection.sendall(data[position : position + 1])
            if ending.wait(_DRIP_SECONDS):
                return

    return drip


def _half_closed(data: bytes) -> Script:
    """Say that nothing more will come, and keep the connection."""

    def close_half(connection: socket.socket, ending: threading.Event) -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        ending.wait()

    return close_half


def _reset(connection: socket.socket, _ending: threading.Event) -> None:
    connection.sendall(_OK + b"Content-Length: 500\r\n\r\n{")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _swelling(head: bytes, piece: bytes = b" " * 65_536) -> Script:
    """Send the head, and the piece again and again, 50 MB in all."""

    def swell(connection: socket.socket, _ending: threading.Event) -> None:
        connection.sendall(head)
        for _ in range(_HUGE_BYTES // len(piece) + 1):
            connection.sendall(piece)

    return swell


def _continuing(connection: socket.socket, ending: threading.Event) -> None:
    while not ending.wait(_DRIP_SECONDS):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def _whole(body: bytes, headers: bytes = b"") -> bytes:
    return _OK + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _bomb() -> bytes:
    return gzip.compress(b" " * _HUGE_BYTES)


def _open_ended() -> bytes:
    """Return a long answer whose every brace opens something that never ends, as a model's text."""
    text = '{"a":' * 20 + "[" + "[]," * 600_000
    return json.dumps({"choices": [{"message": {"content": text}}]}).encode()


@contextmanager
def _full_queue() -> Iterator[int]:
    """Yield the port of a listener whose queue is full: further connections get no answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.settimeout(0)
            one.connect_ex(listener.getsockname())
        yield int(listener.getsockname()[1])
        for one in waiting:
            one.close()


def _tls() -> tuple[ssl.SSLContext, str]:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context, authority.cert_pem.bytes().decode()


_JSON_BODY = b'{"plan": ' + b"x" * 500
_CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
_CHUNK = b"10000\r\n" + b" " * 65_536 + b"\r\n"
_EXTENSION = b"1;" + b"e" * 60_000 + b"\r\n \r\n"
_HUGE_LENGTH = b"Content-Length: %d\r\n\r\n" % _HUGE_BYTES

SERVERS: tuple[Hostile, ...] = (
    Hostile("silent", "never answers", DeadlineExceededError, _silent),
    Hostile(
        "drip-headers", "drips headers, a byte every 0.5 s", DeadlineExceededError, _dripping(_OK + b"X: " + b"x" * 500)
    ),
    Hostile(
        "drip-body",
        "drips the body, a byte every 0.5 s",
        DeadlineExceededError,
        _dripping(_JSON_BODY, after=_OK + b"Content-Length: %d\r\n\r\n" % len(_JSON_BODY)),
    ),
    Hostile("continue", "says `100 Continue` for ever", DeadlineExceededError, _continuing),
    Hostile("never-reads", "accepts and never reads", DeadlineExceededError, _silent, reads=False, long_question=True),
    Hostile("never-accepts", "never accepts", DeadlineExceededError, accepts=False),
    Hostile("silent-tls", "is silent in the TLS handshake", DeadlineExceededError, _silent, reads=False, tls=True),
    Hostile(
        "drip-tls",
        "drips the TLS handshake",
        DeadlineExceededError,
        _dripping(b"\x16\x03\x03\x40\x00" + b"x" * 500),
        tls=True,
    ),
    Hostile(
        "drip-over-tls",
        "drips the answer over TLS",
        DeadlineExceededError,
        _dripping(_OK + b"X: " + b"x" * 500),
        tls=True,
        tls_works=True,
    ),
    Hostile("silent-dns", "has a name that is never resolved", DeadlineExceededError, resolves=False),
    Hostile("closes", "closes without an answer", NetworkError, b""),
    Hostile("closes-in-body", "closes in mid-body", NetworkError, _OK + b"Content-Length: 500\r\n\r\n{"),
    Hostile("closes-in-chunk", "closes in the middle of a chunk", NetworkError, _OK + _CHUNKED + b"1f4\r\n{"),
    Hostile("resets-in-body", "resets in mid-body", NetworkError, _reset),
    Hostile(
        "half-closed",
        "half closes in mid-body and stays",
        NetworkError,
        _half_closed(_OK + b"Content-Length: 500\r\n\r\n{"),
    ),
    Hostile("half-closed-empty", "half closes after the headers", BadAnswerError, _half_closed(_OK + b"\r\n")),
    Hostile("huge", "sends 50 MB, as announced", BadAnswerError, _swelling(_OK + _HUGE_LENGTH)),
    Hostile("huge-unannounced", "sends 50 MB without a length", BadAnswerError, _swelling(_OK + b"\r\n")),
    Hostile("huge-chunked", "sends 50 MB in chunks", BadAnswerError, _swelling(_OK + _CHUNKED, _CHUNK)),
    Hostile("huge-header", "sends a header of 50 MB", BadAnswerError, _swelling(_OK + b"X: ")),
    Hostile(
        "huge-extensions", "sends 50 MB of chunk extensions", BadAnswerError, _swelling(_OK + _CHUNKED, _EXTENSION)
    ),
    Hostile(
        "huge-error",
        "sends 50 MB with status 500",
        RemoteServerError,
        _swelling(b"HTTP/1.1 500 Oh\r\n" + _HUGE_LENGTH),
    ),
    Hostile("bomb", "sends 50 MB as 50 kB of gzip", BadAnswerError, _whole(_bomb(), b"Content-Encoding: gzip\r\n")),
    Hostile("open-ended", "sends JSON that opens 600,020 times and never ends", BadAnswerError, _whole(_open_ended())),
)
