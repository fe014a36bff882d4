"""Whether a process answers yet: one short question each, with the standard library only."""

from __future__ import annotations

import http.client
import socket

from deploy.local.ports import LOOPBACK

_SECONDS = 1.0


def http_answers(port: int, path: str) -> bool:
    """Tell whether a GET is answered with 200."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def valkey_answers(port: int, password: str) -> bool:
    """Tell whether the server takes the password and has loaded its data; while it loads, PING is an error."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=_SECONDS) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            answer = connection.makefile("rb")
            return (answer.readline(), answer.readline()) == (b"+OK\r\n", b"+PONG\r\n")
    except OSError:
        return False
