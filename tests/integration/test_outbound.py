from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from app.domain.deadline import Deadline
from app.domain.errors import (
    BadAnswerError,
    ConfigurationError,
    DeadlineExceededError,
    InvalidInputError,
    NetworkError,
)
from app.outbound import Outbound, Reply
from app.settings import OutboundSettings
from tests.raw_server import Script, raw_server

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

#: Seconds that a call is given, and that it may take beyond them before we call its deadline broken: what keeps it
#: waiting lasts for 50 s at least. How late a quiet machine is, `make deadlines` measures.
_GIVEN = 0.6
_GRACE = 10.0


def _outbound(*, allow_private: bool = True, **settings: Any) -> Outbound:
    return Outbound(OutboundSettings(**settings), allow_private=allow_private)


def _post(url: str, *, outbound: Outbound | None = None, seconds: float = 5.0, body: bytes = b"{}") -> Reply:
    return (outbound or _outbound()).post(url, body, {"X-Given": "yes"}, Deadline.after(seconds))


@contextmanager
def _ended_in_time() -> Iterator[None]:
    started = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        yield
    assert time.monotonic() - started < _GIVEN + _GRACE


def _silent(_connection: socket.socket, ending: threading.Event) -> None:
    ending.wait()


def _dripping(data: bytes) -> Script:
    def drip(connection: socket.socket, ending: threading.Event) -> None:
        for position in range(len(data)):
            connection.sendall(data[position : position + 1])
            if ending.wait(0.1):
                return

    return drip


def _half_closed(connection: socket.socket, ending: threading.Event) -> None:
    connection.sendall(_OK)
    connection.shutdown(socket.SHUT_WR)
    ending.wait()


def _headers_only(connection: socket.socket, ending: threading.Event) -> None:
    connection.sendall(_OK + b"Content-Length: 500\r\n\r\n")
    ending.wait()


def _continuing(connection: socket.socket, ending: threading.Event) -> None:
    while not ending.wait(0.02):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def test_it_returns_status_headers_and_body() -> None:
    with raw_server(_OK + b"Retry-After: 7\r\nContent-Length: 4\r\n\r\nbody") as server:
        reply = _post(server.url)
    assert (reply.status, reply.headers["retry-after"], reply.body) == (200, "7", b"body")


def test_it_sends_our_headers_and_asks_for_no_compression() -> None:
    with raw_server(_OK + b"Content-Length: 0\r\n\r\n") as server:
        _post(server.url + "?key=1", body=b"{}")
    lines = server.requests[0].decode().split("\r\n")
    assert lines[0] == "POST /agent?key=1 HTTP/1.1"
    assert f"Host: 127.0.0.1:{server.port}" in lines
    assert "Accept-Encoding: identity" in lines
    assert "Content-Length: 2" in lines
    assert "X-Given: yes" in lines


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n", b"body", id="chunked"),
        pytest.param(b"\r\nbody", b"body", id="until-the-connection-ends"),
        pytest.param(b"Content-Length: 0\r\n\r\n", b"", id="empty"),
    ],
)
def test_it_reads_bodies_of_every_framing(answer: bytes, body: bytes) -> None:
    with raw_server(_OK + answer) as server:
        assert _post(server.url).body == body


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(_silent, id="never-answers"),
        pytest.param(_dripping(b"HTTP/1.1 200 OK\r\nX-Filler: " + b"x" * 500), id="dripping-headers"),
        pytest.param(_dripping(_OK + b"Content-Length: 500\r\n\r\n" + b"x" * 500), id="dripping-body"),
        pytest.param(_dripping(_OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 500), id="dripping-chunk-size"),
        pytest.param(_dripping(b"HTTP/1.1 500 Oh\r\nContent-Length: 500\r\n\r\n" + b"x" * 500), id="dripping-error"),
        pytest.param(_continuing, id="continues-for-ever"),
    ],
)
def test_the_deadline_covers_every_byte_of_the_answer(script: Script) -> None:
    with raw_server(script) as server, _ended_in_time():
        _post(server.url, seconds=_GIVEN)


def test_the_deadline_covers_the_request_body() -> None:
    with raw_server(_silent, reads=False) as server, _ended_in_time():
        _post(server.url, seconds=_GIVEN, body=b"x" * 50_000_000)


def test_the_deadline_covers_the_connection() -> None:
    # A listener whose queue is full leaves further connections without an answer.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.settimeout(0)
            one.connect_ex(address)
        with _ended_in_time():
            _post(f"http://127.0.0.1:{address[1]}/", seconds=_GIVEN)
        for one in waiting:
            one.close()


def test_the_deadline_covers_the_tls_handshake() -> None:
    with raw_server(_dripping(b"\x16\x03\x03\x40\x00" + b"x" * 500)) as server, _ended_in_time():
        _post(f"https://127.0.0.1:{server.port}/", seconds=_GIVEN)


def test_the_deadline_covers_name_resolution() -> None:
    ending = threading.Event()

    def lookup(*_arguments: object, **_options: object) -> list[tuple[Any, ...]]:
        ending.wait()
        return []

    outbound = Outbound(OutboundSettings(), allow_private=False, lookup=lookup)
    with _ended_in_time():
        _post("http://agent.example/", outbound=outbound, seconds=_GIVEN)
    ending.set()


def test_lookups_that_are_never_answered_are_bounded() -> None:
    ending = threading.Event()
    running = threading.Semaphore(0)

    def lookup(*_arguments: object, **_options: object) -> list[tuple[Any, ...]]:
        running.release()
        ending.wait()
        return []

    outbound = Outbound(OutboundSettings(), allow_private=False, lookup=lookup)
    for number in range(60):
        with pytest.raises(DeadlineExceededError):
            _post(f"http://agent-{number % 6}.example/", outbound=outbound, seconds=0.01)
    assert all(running.acquire(timeout=5) for _ in range(32))
    assert not running.acquire(blocking=False)
    ending.set()


def test_a_name_that_is_never_resolved_does_not_keep_others_from_being_resolved() -> None:
    ending = threading.Event()

    def lookup(host: str, *arguments: Any, **options: Any) -> list[tuple[Any, ...]]:
        if host == "silent.example":
            ending.wait()
        return list(socket.getaddrinfo("127.0.0.1", *arguments, **options))

    outbound = Outbound(OutboundSettings(), allow_private=True, lookup=lookup)
    for _ in range(40):
        with pytest.raises(DeadlineExceededError):
            _post("http://silent.example/", outbound=outbound, seconds=0.01)
    with raw_server(_OK + b"Content-Length: 4\r\n\r\nbody") as server:
        assert _post(f"http://healthy.example:{server.port}/", outbound=outbound).body == b"body"
    ending.set()


def test_a_place_of_a_lookup_is_free_again_when_it_has_ended() -> None:
    outbound = Outbound(OutboundSettings(), allow_private=True)
    for _ in range(40):
        with pytest.raises(NetworkError, match="refused"):
            _post("http://localhost:1/", outbound=outbound)


def test_the_header_tells_the_seconds_that_are_left_when_the_request_is_sent() -> None:
    def slow(_host: str, *arguments: Any, **options: Any) -> list[tuple[Any, ...]]:
        time.sleep(0.5)  # what is measured: the time that a lookup takes
        return list(socket.getaddrinfo("127.0.0.1", *arguments, **options))

    outbound = Outbound(OutboundSettings(), allow_private=True, lookup=slow)
    with raw_server(_OK + b"Content-Length: 0\r\n\r\n") as server:
        deadline = Deadline.after(20)
        outbound.post(f"http://slow.example:{server.port}/", b"{}", {}, deadline, deadline_header="X-Left")
        after = deadline.remaining_seconds
    (line,) = [one for one in server.requests[0].decode().split("\r\n") if one.startswith("X-Left: ")]
    assert after <= float(line.removeprefix("X-Left: ")) <= 19.5


def test_no_time_left_is_an_error_before_any_call() -> None:
    with raw_server(_OK) as server, pytest.raises(DeadlineExceededError):
        _post(server.url, seconds=0.0)
    assert server.requests == []


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(b"", id="closes-without-an-answer"),
        pytest.param(_OK + b"Content-Length: 10\r\n\r\nshort", id="closes-within-the-body"),
        pytest.param(_OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nsh", id="closes-within-a-chunk"),
        pytest.param(_OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", id="nonsense-chunk-size"),
    ],
)
def test_a_connection_that_breaks_is_a_network_error(script: bytes) -> None:
    with raw_server(script) as server, pytest.raises(NetworkError):
        _post(server.url)


def test_a_half_closed_connection_is_an_answer_without_body() -> None:
    with raw_server(_half_closed) as server:
        assert _post(server.url).body == b""


def test_nobody_listening_is_a_network_error() -> None:
    with raw_server(b"") as server:
        pass
    with pytest.raises(NetworkError, match="refused the connection"):
        _post(server.url)


def test_a_name_without_address_is_a_network_error() -> None:
    with pytest.raises(NetworkError, match=r"^agent\.invalid: the name cannot be resolved$"):
        _post("http://agent.invalid/")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="another-protocol"),
        pytest.param(b"HTTP/1.1 abc OK\r\n\r\n", id="status-no-number"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", id="too-many-headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000, id="too-long-a-header"),
    ],
)
def test_an_answer_that_is_not_http_is_a_bad_answer(answer: bytes) -> None:
    with raw_server(answer) as server, pytest.raises(BadAnswerError):
        _post(server.url)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"Content-Length: 3000\r\n\r\n" + b"x" * 3000, id="announced"),
        pytest.param(b"\r\n" + b"x" * 3000, id="not-announced"),
        pytest.param(
            b"Transfer-Encoding: chunked\r\n\r\n" + (b"400\r\n" + b"x" * 1024 + b"\r\n") * 3 + b"0\r\n\r\n",
            id="chunked",
        ),
    ],
)
def test_an_answer_that_is_too_big_is_a_bad_answer(answer: bytes) -> None:
    outbound = _outbound(max_answer_bytes=2048)
    with raw_server(_OK + answer) as server, pytest.raises(BadAnswerError, match="bigger than 2048 bytes"):
        _post(server.url, outbound=outbound)


def test_endless_chunk_extensions_are_a_bad_answer() -> None:
    outbound = _outbound(max_answer_bytes=2048)
    chunks = (b"1;" + b"e" * 60_000 + b"\r\nx\r\n") * 3
    answer = _OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
    with raw_server(answer) as server, pytest.raises(BadAnswerError, match="too big"):
        _post(server.url, outbound=outbound)


def test_a_compressed_answer_is_a_bad_answer() -> None:
    bomb = gzip.compress(b" " * 1_000_000)
    answer = _OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    with raw_server(answer + bomb) as server, pytest.raises(BadAnswerError, match="compressed"):
        _post(server.url)


def test_of_an_error_the_beginning_of_the_body_is_kept() -> None:
    answer = b"HTTP/1.1 500 Oh\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 100_000
    with raw_server(answer) as server:
        reply = _post(server.url)
    assert (reply.status, reply.body) == (500, b"x" * 4096)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(_OK + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\ncompressed", id="compressed"),
        pytest.param(_OK + b"Content-Length: 10\r\n\r\nshort", id="closes-within-the-body"),
        pytest.param(_headers_only, id="never-sends-the-body"),
    ],
)
def test_the_body_of_a_success_does_not_matter_when_only_the_head_is_wanted(script: Script | bytes) -> None:
    with raw_server(script) as server:
        reply = _outbound().post(server.url, b"{}", {}, Deadline.after(30), head_only=True)
    assert (reply.status, reply.body) == (200, b"")


def test_redirects_are_not_followed() -> None:
    with raw_server(_OK) as other:
        answer = b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % other.url.encode()
        with raw_server(answer) as server:
            assert _post(server.url).status == 302
        assert other.requests == []


def test_proxy_variables_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(_OK) as proxy, raw_server(_OK + b"Content-Length: 0\r\n\r\n") as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        assert _post(server.url).status == 200
        assert proxy.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "127.1", "0x7f.1", "[::ffff:127.0.0.1]"])
def test_private_targets_are_refused_before_any_connection(host: str) -> None:
    with raw_server(_OK) as server:
        with pytest.raises(InvalidInputError, match=r"^url: must lead to public addresses only$"):
            _post(f"http://{host}:{server.port}/", outbound=_outbound(allow_private=False))
        with pytest.raises(InvalidInputError, match=r"^url: must lead to public addresses only$"):
            _outbound(allow_private=False).check_target(f"http://{host}:{server.port}/")
    assert server.requests == []


def test_one_private_address_of_a_name_is_enough_to_refuse_it() -> None:
    outbound = Outbound(
        OutboundSettings(), allow_private=False, lookup=_names({"agent.example": ["93.184.215.14", "10.0.0.1"]})
    )
    with pytest.raises(InvalidInputError):
        outbound.check_target("https://agent.example/")


def test_public_targets_pass_the_check() -> None:
    outbound = Outbound(OutboundSettings(), allow_private=False, lookup=_names({"agent.example": ["93.184.215.14"]}))
    outbound.check_target("https://agent.example/")


def test_a_target_whose_name_has_no_address_does_not_pass_the_check() -> None:
    with pytest.raises(InvalidInputError, match=r"^url: must name a host that can be found$"):
        _outbound().check_target("https://agent.invalid/")


def test_the_call_goes_to_the_address_that_was_checked() -> None:
    lookups: list[str] = []
    with raw_server(_OK + b"Content-Length: 0\r\n\r\n") as server:
        lookup = _names({"agent.example": ["127.0.0.1"]}, lookups)
        outbound = Outbound(OutboundSettings(), allow_private=True, lookup=lookup)
        assert _post(f"http://agent.example:{server.port}/", outbound=outbound).status == 200
    assert lookups == ["agent.example"]
    assert f"Host: agent.example:{server.port}".encode() in server.requests[0]


def test_the_next_address_is_tried_when_one_refuses() -> None:
    with raw_server(_OK + b"Content-Length: 0\r\n\r\n") as server:
        lookup = _names({"agent.example": ["127.0.0.9", "127.0.0.1"]})
        outbound = Outbound(OutboundSettings(), allow_private=True, lookup=lookup)
        assert _post(f"http://agent.example:{server.port}/", outbound=outbound).status == 200


@pytest.mark.parametrize(
    ("name", "trusted", "problem"),
    [
        pytest.param("agent.example", True, None, id="right-name"),
        pytest.param("other.example", True, "CERTIFICATE_VERIFY_FAILED", id="wrong-name"),
        pytest.param("agent.example", False, "CERTIFICATE_VERIFY_FAILED", id="unknown-authority"),
    ],
)
def test_the_certificate_must_be_for_the_name(tmp_path: Path, name: str, trusted: bool, problem: str | None) -> None:  # noqa: FBT001 -- a row of the table
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("agent.example").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    settings = OutboundSettings(tls_ca_file=tmp_path / "ca.pem" if trusted else None)
    outbound = Outbound(settings, allow_private=True, lookup=_names({name: ["127.0.0.1"]}))
    with raw_server(_OK + b"Content-Length: 2\r\n\r\n{}", tls=context) as server:
        url = f"https://{name}:{server.port}/"
        if problem is None:
            assert _post(url, outbound=outbound).body == b"{}"
        else:
            with pytest.raises(NetworkError, match=problem):
                _post(url, outbound=outbound)
            assert server.requests == []


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_file_without_authorities_is_an_error_of_configuration(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    with raw_server(b"") as server, pytest.raises(ConfigurationError, match="MARKETPLACE_OUTBOUND__TLS_CA_FILE"):
        _post(server.url.replace("http:", "https:"), outbound=_outbound(tls_ca_file=file))


def test_an_error_names_the_host_and_nothing_else_of_the_url() -> None:
    with raw_server(b"") as server, pytest.raises(NetworkError) as failure:
        _post(f"http://127.0.0.1:{server.port}/hooks/secret-token?key=secret-key")
    assert str(failure.value) == "127.0.0.1: the connection broke before the answer was complete"


def _names(addresses: dict[str, list[str]], asked: list[str] | None = None) -> Callable[..., list[tuple[Any, ...]]]:
    """Return a lookup that knows these names only."""

    def lookup(host: str, port: int, **_options: object) -> list[tuple[Any, ...]]:
        if asked is not None:
            asked.append(host)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)) for address in addresses[host]
        ]

    return lookup
