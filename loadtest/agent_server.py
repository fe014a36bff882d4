"""The server of the fake agents: two protocols, every fault, and the live control."""

from __future__ import annotations

import gzip
import json
import os
import re
import select
import socket
import struct
import sys
import threading
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, ClassVar, Self

from loadtest.agent_behaviours import AGENTS, Behaviour, ControlError, FakeAgent, read_behaviour
from loadtest.agent_plans import badly_written, plan

_LARGEST_REQUEST_BYTES = 20_000_000
_HUGE_BYTES = 50_000_000
_CHUNK_BYTES = 64 * 1024
_DRIP_SECONDS = 0.5

_PURPOSE = re.compile(r'"purpose":\s*"(analysis|phase1)"')


class FakeAgents:
    """The server with its agents, in threads of this process; port 0 takes a free one.

    As a context it runs from its beginning to its end.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 1,
        behaviours: Mapping[str, Behaviour] | None = None,
    ) -> None:
        self.seed = seed
        self.agents = {name: FakeAgent(name, (behaviours or {}).get(name, Behaviour(seed=seed))) for name in AGENTS}
        self.stopping = threading.Event()
        self._server = _Server((host, port), _Handler)
        self._server.fakes = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where the server listens, without a slash at the end."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """End the server and whatever still hangs or drips."""
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512
    fakes: FakeAgents

    def server_bind(self) -> None:
        """Take the port without asking the resolver for this machine's name, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 -- the library's signature
        """Say nothing about clients that went away: whoever tests deadlines leaves early."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "FakeAgents"
    timeout: ClassVar[float] = 120.0
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        """Answer the live control's questions."""
        match self._parts():
            case ["health"]:
                self._json(HTTPStatus.OK, {"status": "ok", "agents": list(self._fakes.agents)})
            case ["behaviour", name] if name in self._fakes.agents:
                self._json(HTTPStatus.OK, self._fakes.agents[name].behaviour.as_json())
            case ["requests", name] if name in self._fakes.agents:
                self._json(HTTPStatus.OK, self._fakes.agents[name].requests())
            case _:
                self._not_found()

    def do_PUT(self) -> None:
        """Change a behaviour."""
        body = self._body()
        match self._parts():
            case _ if body is None:
                pass
            case ["behaviour", name] if name in self._fakes.agents:
                try:
                    behaviour = read_behaviour(_parsed(body), seed=self._fakes.seed)
                except ControlError as error:
                    self._json(HTTPStatus.BAD_REQUEST, {"field": error.field, "message": error.message})
                    return
                self._fakes.agents[name].behaviour = behaviour
                self._json(HTTPStatus.OK, behaviour.as_json())
            case _:
                self._not_found()

    def do_POST(self) -> None:
        """Answer as an agent."""
        body = self._body()
        match self._parts():
            case _ if body is None:
                pass
            case [name, "v1", "chat", "completions"] if name in self._fakes.agents:
                self._behave(self._fakes.agents[name], body, openai=True)
            case [name, "analyse"] if name in self._fakes.agents:
                self._behave(self._fakes.agents[name], body, openai=False)
            case _:
                self._not_found()

    def log_message(self, *_arguments: object) -> None:
        """Write no line per request."""

    @property
    def _fakes(self) -> FakeAgents:
        return self.server.fakes

    def _behave(self, agent: FakeAgent, body: bytes, *, openai: bool) -> None:
        asked = _PURPOSE.search(_text_of(body))
        purpose = asked.group(1) if asked else "unknown"
        draw = agent.meet(purpose, self._headers_of_interest())
        if self._fakes.stopping.wait(draw.latency_seconds):
            self.close_connection = True
            return
        match draw.mode:
            case "rate_limited":
                seconds = str(agent.behaviour.retry_after_seconds)
                self._error(HTTPStatus.TOO_MANY_REQUESTS, "slow down", {"Retry-After": seconds})
            case "error":
                self._error(HTTPStatus.INTERNAL_SERVER_ERROR, "the model crashed")
            case "dead":
                self._reset()
            case "hang":
                self._hang(draw.variant)
            case "huge":
                self._huge(draw.variant)
            case _:
                data = plan(agent.name, purpose, draw.random)
                text = badly_written(data, draw.variant) if draw.mode == "malformed" else json.dumps(data)
                answer = _completion(text) if openai else f'{{"plan": {text}}}'.encode()
                if draw.mode == "drip":
                    self._drip(answer, draw.variant)
                else:
                    self._send(HTTPStatus.OK, answer)

    def _headers_of_interest(self) -> dict[str, str]:
        """Return the headers that tests ask for; of credentials only that they were there."""
        names = ("X-Deadline-Seconds", "Content-Type", "User-Agent", "Host", "Accept-Encoding")
        found = {name: self.headers[name] for name in names if name in self.headers}
        return found | ({"Authorization": "given"} if "Authorization" in self.headers else {})

    def _reset(self) -> None:
        """Break the connection so that the client sees a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        os.close(self.connection.detach())

    def _hang(self, variant: str) -> None:
        """Never answer, until the client leaves; half closed, it says that nothing more will come after the headers."""
        self.close_connection = True
        if variant == "half_closed":
            self._head(HTTPStatus.OK, {"Content-Type": "application/json", "Content-Length": "1000"})
            self.wfile.write(b'{"choices": [')
            self.connection.shutdown(socket.SHUT_WR)
        while not self._fakes.stopping.wait(0.2):
            readable, _, _ = select.select([self.connection], [], [], 0)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                return

    def _huge(self, variant: str) -> None:
        self.close_connection = True
        if variant == "gzip":
            self._send(HTTPStatus.OK, _bomb(), {"Content-Encoding": "gzip"})
            return
        self._head(HTTPStatus.OK, {"Content-Type": "application/json", "Content-Length": str(_HUGE_BYTES)})
        for _ in range(_HUGE_BYTES // _CHUNK_BYTES + 1):
            self.wfile.write(b" " * _CHUNK_BYTES)

    def _drip(self, answer: bytes, variant: str) -> None:
        self.close_connection = True
        if variant == "headers":
            answer = b"HTTP/1.1 200 OK\r\nX-Filler: " + b"x" * 1000 + b"\r\n\r\n"
        else:
            self._head(HTTPStatus.OK, {"Content-Type": "application/json", "Content-Length": str(len(answer))})
        for position in range(len(answer)):
            self.wfile.write(answer[position : position + 1])
            if self._fakes.stopping.wait(_DRIP_SECONDS):
                return

    def _body(self) -> bytes | None:
        """Return the request's body; None when it was refused, and the refusal sent."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _LARGEST_REQUEST_BYTES:
            self.close_connection = True
            self._error(HTTPStatus.LENGTH_REQUIRED, f"Content-Length must be 0 to {_LARGEST_REQUEST_BYTES}")
            return None
        return self.rfile.read(int(length))

    def _parts(self) -> list[str]:
        return [part for part in self.path.partition("?")[0].split("/") if part]

    def _not_found(self) -> None:
        self._error(HTTPStatus.NOT_FOUND, f"there is no such path; the agents are {', '.join(self._fakes.agents)}")

    def _error(self, status: HTTPStatus, message: str, headers: Mapping[str, str] | None = None) -> None:
        self._json(status, {"error": {"message": message, "type": status.phrase}}, headers)

    def _json(self, status: HTTPStatus, data: object, headers: Mapping[str, str] | None = None) -> None:
        self._send(status, json.dumps(data).encode(), headers)

    def _send(self, status: HTTPStatus, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self._head(status, {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})})
        self.wfile.write(body)

    def _head(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()


@cache
def _bomb() -> bytes:
    return gzip.compress(b" " * _HUGE_BYTES)


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ControlError("body", "must be a JSON object") from None


def _text_of(body: bytes) -> str:
    """Return what the client said: the text of its chat messages, or the body itself."""
    try:
        return "\n".join(str(message["content"]) for message in json.loads(body)["messages"])
    except (ValueError, RecursionError, KeyError, TypeError):
        return body.decode(errors="replace")


def _completion(text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps({"object": "chat.completion", "model": "fake", "choices": [choice]}).encode()
