import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from app.domain.errors import NetworkError
from deploy.local.ports import LOOPBACK, REACH, chosen_port, default_port, holder_of
from tests.servers import free_port


@contextmanager
def listening(address: str = LOOPBACK, port: int = 0) -> Iterator[int]:
    with socket.create_server((address, port)) as server:
        yield server.getsockname()[1]


def test_a_default_port_that_is_free_is_taken() -> None:
    number = free_port()
    with closing(default_port(number, purpose="web")) as port:
        assert (port.number, port.moved) == (number, "")


@pytest.mark.parametrize("address", [LOOPBACK, "0.0.0.0"])
def test_a_default_port_that_is_taken_moves_to_a_near_one_and_says_who_has_it(address: str) -> None:
    with listening(address) as taken, closing(default_port(taken, purpose="web")) as port:
        assert taken < port.number <= taken + REACH
        assert port.moved.startswith(f"{taken} is taken by ")
        assert port.moved.endswith(f"(pid {os.getpid()})")


def test_two_stacks_that_start_at_the_same_moment_get_different_ports() -> None:
    with closing(default_port(free_port(), purpose="web")) as first:
        first.stop_listening()
        with closing(default_port(first.number, purpose="web")) as second:
            assert second.number != first.number


def test_a_server_can_bind_its_port_once_nobody_listens() -> None:
    with closing(default_port(free_port(), purpose="web")) as port:
        port.stop_listening()
        with listening(port=port.number) as number:
            assert number == port.number


def test_callers_wait_on_a_port_whose_server_has_not_started() -> None:
    with (
        closing(default_port(free_port(), purpose="web")) as port,
        socket.create_connection((LOOPBACK, port.number), timeout=5) as caller,
    ):
        caller.sendall(b"hello")
        server, _ = port.listener.accept()
        with server:
            assert server.recv(5) == b"hello"


def test_a_port_ends_with_its_process() -> None:
    number = free_port()
    code = f"from deploy.local.ports import chosen_port; port = chosen_port({number}, purpose='web')"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
    chosen_port(number, purpose="web").close()


def test_a_port_that_the_user_chose_and_that_is_taken_is_an_error_that_names_its_holder() -> None:
    with (
        listening() as taken,
        pytest.raises(NetworkError, match=rf"web: port {taken} on .+ is taken by .+ \(pid \d+\)"),
    ):
        chosen_port(taken, purpose="web")


def test_no_free_port_near_the_default_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.local.ports.REACH", 0)
    with listening() as taken, pytest.raises(NetworkError, match=f"web: no free port from {taken} to {taken}"):
        default_port(taken, purpose="web")


def test_nobody_holds_a_free_port() -> None:
    assert holder_of(free_port()) is None
