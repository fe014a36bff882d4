"""What a local stack simulates, as a user handles it: the live control of the agents, and the inbox of Slack."""

from __future__ import annotations

import json
from typing import Any

import requests

from app.domain.errors import NetworkError
from deploy.local.agents_program import CHANNELS

_TIMEOUT_SECONDS = 5.0


class _Simulation:
    """HTTP to one of them."""

    #: Who does not answer, in an error.
    name: str

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def _call(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401 -- any JSON
        try:
            answer = self._session.request(method, f"{self._url}/{path}", timeout=_TIMEOUT_SECONDS, **options)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise NetworkError(f"{self.name} does not answer ({type(error).__name__})") from error
        return answer.json()


class SimulatedAgents(_Simulation):
    """The live control of the simulated agents."""

    name = "the server of the simulated agents"

    def behave(self, agent: str, **behaviour: object) -> None:
        """Make an agent behave in a way until it is told otherwise."""
        self._call("PUT", f"behaviour/{agent}", json=behaviour)

    def requests(self) -> dict[str, int]:
        """Return how many requests each agent has had."""
        return {agent: self._call("GET", f"requests/{agent}")["count"] for agent in CHANNELS}


class SlackInbox(_Simulation):
    """The messages that have arrived in the simulated Slack."""

    name = "the simulated Slack"

    def messages(self, *mentioned: str) -> list[dict[str, Any]]:
        """Return the messages that hold all of these words, oldest first, each with `receivedAt`, `text`, `blocks`."""
        messages: list[dict[str, Any]] = self._call("GET", "messages")
        return [message for message in messages if all(word in _words(message) for word in mentioned)]


def _words(message: dict[str, Any]) -> str:
    return json.dumps([message["text"], message["blocks"]], ensure_ascii=False)
