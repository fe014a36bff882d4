"""The states in which a Redis can be found, brought about on a real server or on a socket that plays dead."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.servers import free_port, running_valkey


@contextmanager
def killed(url: str) -> Iterator[str]:
    """Kill the server, for good: connections break, and new ones are refused."""
    os.kill(_process_of(url), signal.SIGKILL)
    yield url


@contextmanager
def frozen(url: str) -> Iterator[str]:
    """Stop the server's process: connections are made, and nothing is answered."""
    process = _process_of(url)
    os.kill(process, signal.SIGSTOP)
    try:
        yield url
    finally:
        os.kill(process, signal.SIGCONT)


@contextmanager
def full(url: str) -> Iterator[str]:
    """Let the server have no memory left: it answers, and refuses to write."""
    with redis.Redis.from_url(url) as client:
        client.config_set("maxmemory", 1)
        yield url
        client.config_set("maxmemory", 0)


@contextmanager
def read_only(url: str) -> Iterator[str]:
    """Make the server a replica, as after a fail-over: it answers, and refuses to write."""
    with redis.Redis.from_url(url) as client:
        client.replicaof("127.0.0.1", free_port())
        yield url
        client.replicaof("NO", "ONE")


@contextmanager
def refusing() -> Iterator[str]:
    """Yield a URL at which nobody listens."""
    yield f"redis://127.0.0.1:{free_port()}/0"


@contextmanager
def silent() -> Iterator[str]:
    """Yield a URL at which connections are made, and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listener:
        yield f"redis://:secret@127.0.0.1:{listener.getsockname()[1]}/0"


@contextmanager
def unreachable() -> Iterator[str]:
    """Yield a URL to which no connection is made: the system drops what arrives, for nobody takes the first ones."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, contextlib.ExitStack() as waiting:
        port = listener.getsockname()[1]
        for _ in range(4):
            caller = waiting.enter_context(socket.socket())
            caller.settimeout(0)
            caller.connect_ex(("127.0.0.1", port))
        yield f"redis://127.0.0.1:{port}/0"


#: States that a running server gets into, and states without a server.
PASSING = {"killed": killed, "frozen": frozen, "full": full, "read-only": read_only}
LASTING = {"refusing": refusing, "silent": silent, "unreachable": unreachable}

#: Every state in which Redis takes no hint.
STATES = (*PASSING, *LASTING)


@contextmanager
def redis_that_is(state: str, directory: Path) -> Iterator[str]:
    """Yield the URL of a Redis in one of `STATES`; a server for it gets this directory."""
    if state in LASTING:
        with LASTING[state]() as url:
            yield url
    else:
        with running_valkey(directory) as url, PASSING[state](url):
            yield url


def _process_of(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.info("server")["process_id"])
