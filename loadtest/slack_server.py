"""The server of the fake Slack: incoming webhooks, two methods of its API, the inbox and the live control."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from loadtest.control import ControlError, parsed
from loadtest.fake_server import FakeHandler, FakeServer
from loadtest.slack_inbox import SETTINGS_ERRORS, Inbox, Message, SlackBehaviour, read_slack_behaviour
from loadtest.slack_limits import refusal
from loadtest.slack_page import CONTENT_SECURITY_POLICY, inbox_page

#: Ids of channels that the API knows.
_CHANNEL = re.compile(r"^[CGD][A-Z0-9]{2,20}$")
_TOKEN = re.compile(r"^Bearer xoxb-[A-Za-z0-9-]{4,}$")


class FakeSlack(FakeServer):
    """The server with its inbox."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(_Handler, host=host, port=port)
        self.inbox = Inbox()

    def webhook(self, channel: str) -> str:
        """Return the URL of an incoming webhook of this channel."""
        return f"{self.url}/services/T0/B0/{channel}"


class _Handler(FakeHandler):
    server_version = "FakeSlack"
    server: FakeSlack

    def do_GET(self) -> None:
        """Show the inbox, and answer the live control's questions."""
        inbox = self.server.inbox
        match self.parts():
            case []:
                page = inbox_page(inbox.messages(), behaviour=inbox.behaviour().mode)
                headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "X-Content-Type-Options": "nosniff"}
                self.answer(HTTPStatus.OK, page.encode(), headers | {"Content-Type": "text/html; charset=utf-8"})
            case ["health"]:
                self.json(HTTPStatus.OK, {"status": "ok", "calls": inbox.calls()})
            case ["messages"]:
                self.json(HTTPStatus.OK, [message.as_json() for message in inbox.messages()])
            case ["behaviour", *channel] if len(channel) <= 1:
                self.json(HTTPStatus.OK, inbox.behaviour(*channel).as_json())
            case _:
                self._not_found()

    def do_PUT(self) -> None:
        """Change the behaviour, of one channel or of all."""
        body = self.body()
        match self.parts():
            case _ if body is None:
                pass
            case ["behaviour", *channel] if len(channel) <= 1:
                try:
                    behaviour = read_slack_behaviour(parsed(body))
                except ControlError as error:
                    self.json(HTTPStatus.BAD_REQUEST, {"field": error.field, "message": error.message})
                    return
                self.server.inbox.behave(behaviour, channel=channel[0] if channel else None)
                self.json(HTTPStatus.OK, behaviour.as_json())
            case _:
                self._not_found()

    def do_DELETE(self) -> None:
        """Empty the inbox."""
        if self.parts() == ["messages"]:
            self.server.inbox.clear()
            self.json(HTTPStatus.OK, [])
        else:
            self._not_found()

    def do_POST(self) -> None:
        """Answer as Slack."""
        body = self.body()
        match self.parts():
            case _ if body is None:
                pass
            case ["services", *names] if names:
                self._webhook(names[-1], body)
            case ["api", "chat.postMessage"]:
                self._api(body, self._post)
            case ["api", "chat.update"]:
                self._api(body, self._update)
            case _:
                self._not_found()

    def _webhook(self, channel: str, body: bytes) -> None:
        payload = _object(body)
        wrong = refusal(payload)

        def take() -> None:
            assert payload is not None  # noqa: S101 -- or it would be wrong
            self.server.inbox.post(channel, payload)

        behaviour = self.server.inbox.meet(channel)
        if behaviour.mode == "refused":
            self._text(SETTINGS_ERRORS[behaviour.error], behaviour.error)
        elif not self._misbehaves(behaviour, take if wrong is None else None):
            if wrong is None:
                take()
            self._text(HTTPStatus.OK if wrong is None else HTTPStatus.BAD_REQUEST, wrong or "ok")

    def _api(self, body: bytes, method: Callable[[str, Mapping[str, Any]], Message | str]) -> None:
        """Answer a method, which returns the message or the word for what is wrong."""
        payload = _object(body) or {}
        channel = str(payload.get("channel", ""))
        behaviour = self.server.inbox.meet(channel)

        def take() -> dict[str, object]:
            done: Message | str | None = self._denied(channel) or refusal(payload)
            if done is None:
                done = method(channel, payload)
            if isinstance(done, str):
                return {"ok": False, "error": done}
            return {"ok": True, "channel": channel, "ts": done.ts}

        if behaviour.mode == "refused":
            self.json(HTTPStatus.OK, {"ok": False, "error": behaviour.error})
        elif not self._misbehaves(behaviour, take):
            self.json(HTTPStatus.OK, take())

    def _denied(self, channel: str) -> str | None:
        shown = self.headers.get("Authorization")
        if shown is None:
            return "not_authed"
        if not _TOKEN.match(shown):
            return "invalid_auth"
        return None if _CHANNEL.match(channel) else "channel_not_found"

    def _post(self, channel: str, payload: Mapping[str, Any]) -> Message | str:
        thread = payload.get("thread_ts")
        return self.server.inbox.post(channel, payload, thread_ts=None if thread is None else str(thread))

    def _update(self, channel: str, payload: Mapping[str, Any]) -> Message | str:
        return self.server.inbox.edit(channel, str(payload.get("ts", "")), payload) or "message_not_found"

    def _misbehaves(self, behaviour: SlackBehaviour, take: Callable[[], object] | None) -> bool:
        """Answer as the behaviour says; False when it is to be answered properly."""
        match behaviour.mode:
            case "rate_limited":
                headers = {"Retry-After": f"{behaviour.retry_after_seconds:g}"}
                self.json(HTTPStatus.TOO_MANY_REQUESTS, {"ok": False, "error": "ratelimited"}, headers)
            case "error":
                self._text(HTTPStatus.INTERNAL_SERVER_ERROR, "rollup_error")
            case "hang":
                self.hang()
            case "silent":
                if take is not None:
                    take()
                self.hang()
            case _:
                return False
        return True

    def _text(self, status: int, text: str) -> None:
        self.answer(HTTPStatus(status), text.encode(), {"Content-Type": "text/plain; charset=utf-8"})

    def _not_found(self) -> None:
        self.error(HTTPStatus.NOT_FOUND, "there is no such path")


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None
