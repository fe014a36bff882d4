from __future__ import annotations

import pytest

from app.cli.remote import Remote
from app.domain.errors import NetworkError
from tests.raw_server import raw_server

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
LINE = b'9\r\n{"id": 1}\r\n1\r\n\n\r\n'


def lines(answer: bytes) -> list[dict[str, int]]:
    with raw_server(answer) as server:
        return list(Remote(f"http://127.0.0.1:{server.port}", None, direct=True).lines("dead-letters/export"))


def test_an_answer_of_lines_is_read_as_it_comes() -> None:
    assert lines(HEAD + LINE + LINE + b"0\r\n\r\n") == [{"id": 1}, {"id": 1}]


@pytest.mark.parametrize("end", [b"", b'6\r\n{"id":\r\n0\r\n\r\n'], ids=["between_lines", "within_a_line"])
def test_an_answer_that_breaks_off_is_told(end: bytes) -> None:
    with pytest.raises(NetworkError, match="broke off"):
        lines(HEAD + LINE + end)
