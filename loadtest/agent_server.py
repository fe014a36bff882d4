"""The server of the fake agents: two protocols, every fault, and the live control."""

from __future__ import annotations

import gzip
import json
import os
import re
import socket
import struct
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus

from loadtest.agent_behaviours import AGENTS, Behaviour, FakeAgent, read_behaviour
from loadtest.agent_plans import badly_written, plan
from loadtest.control import ControlError, parsed
from loadtest.fake_server import FakeHandler, FakeServer

_HUGE_BYTES = 50_000_000
_CHUNK_BYTES = 64 * 1024
_DRIP_SECONDS = 0.5

_PURPOSE = re.compile(r'"purpose":\s*"(analysis|phase1)"')


class FakeAgents(FakeServer):
    """The server with its agents."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 1,
        behaviours: Mapping[str, Behaviour] | None = None,
    ) -> None:
        super().__init__(_Handler, host=host, port=port)
        self.seed = seed
        self.agents = {name: FakeAgent(name, (behaviours or {}).get(name, Behaviour(seed=seed))) for name in AGENTS}


class _Handler(FakeHandler):
    server_version = "FakeAgents"
    server: FakeAgents

    def do_GET(self) -> None:
        """Answer the live control's questions."""
        match self.parts():
            case ["health"]:
                self.json(HTTPStatus.OK, {"status": "ok", "agents": list(self.server.agents)})
            case ["behaviour", name] if name in self.server.agents:
                self.json(HTTPStatus.OK, self.server.agents[name].behaviour.as_json())
            case ["requests", name] if name in self.server.agents:
                self.json(HTTPStatus.OK, self.server.agents[name].requests())
            case _:
                self._not_found()

    def do_PUT(self) -> None:
        """Change a behaviour."""
        body = self.body()
        match self.parts():
            case _ if body is None:
                pass
            case ["behaviour", name] if name in self.server.agents:
                try:
                    behaviour = read_behaviour(parsed(body), seed=self.server.seed)
                except ControlError as error:
                    self.json(HTTPStatus.BAD_REQUEST, {"field": error.field, "message": error.message})
                    return
                self.server.agents[name].behaviour = behaviour
                self.json(HTTPStatus.OK, behaviour.as_json())
            case _:
                self._not_found()

    def do_POST(self) -> None:
        """Answer as an agent."""
        body = self.body()
        match self.parts():
            case _ if body is None:
                pass
            case [name, "v1", "chat", "completions"] if name in self.server.agents:
                self._behave(self.server.agents[name], body, openai=True)
            case [name, "analyse"] if name in self.server.agents:
                self._behave(self.server.agents[name], body, openai=False)
            case _:
                self._not_found()

    def _behave(self, agent: FakeAgent, body: bytes, *, openai: bool) -> None:
        asked = _PURPOSE.search(_text_of(body))
        purpose = asked.group(1) if asked else "unknown"
        draw = agent.meet(purpose, self._headers_of_interest())
        if self.server.stopping.wait(draw.latency_seconds):
            self.close_connection = True
            return
        match draw.mode:
            case "rate_limited":
                seconds = str(agent.behaviour.retry_after_seconds)
                self.error(HTTPStatus.TOO_MANY_REQUESTS, "slow down", {"Retry-After": seconds})
            case "error":
                self.error(HTTPStatus.INTERNAL_SERVER_ERROR, "the model crashed")
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
                    self.answer(HTTPStatus.OK, answer)

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
        """Never answer; half closed, it says that nothing more will come after the headers."""
        self.close_connection = True
        if variant == "half_closed":
            self.head(HTTPStatus.OK, {"Content-Type": "application/json", "Content-Length": "1000"})
            self.wfile.write(b'{"choices": [')
            self.connection.shutdown(socket.SHUT_WR)
        self.hang()

    def _huge(self, variant: str) -> None:
        self.close_connection = True
        if variant == "gzip":
            self.answer(HTTPStatus.OK, _bomb(), {"Content-Encoding": "gzip"})
            return
        self.head(HTTPStatus.OK, {"Content-Type": "application/json", "Content-Length": str(_HUGE_BYTES)})
        for _ in range(_HUGE_BYTES // _CHUNK_BYTES + 1):
            self.wfile.write(b" " * _CHUNK_BYTES)

    def _drip(self, answer: bytes, variant: str) -> None:
        self.close_connection = True
        if variant == "headers":
            answer = b"HTTP/1.1 200 OK\r\nX-Filler: " + b"x" * 1000 + b"\r\n\r\n"
        else:
            self.head(HTTPStatus.OK, {"Content-Type": "application/json", "Content-Length": str(len(answer))})
        for position in range(len(answer)):
            self.wfile.write(answer[position : position + 1])
            if self.server.stopping.wait(_DRIP_SECONDS):
                return

    def _not_found(self) -> None:
        self.error(HTTPStatus.NOT_FOUND, f"there is no such path; the agents are {', '.join(self.server.agents)}")


@cache
def _bomb() -> bytes:
    return gzip.compress(b" " * _HUGE_BYTES)


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
