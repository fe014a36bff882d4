"""The client for Slack: incoming webhooks and two methods of its API, and what each answer means.

It never waits and never repeats: when to try again is the outbox's business. No error or log line of it has the URL of
a webhook, or a token, in it.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from alerting.slack.routes import Channel, Destination, Webhook
from app.domain.deadline import Deadline
from app.domain.errors import (
    BadAnswerError,
    DeadlineExceededError,
    InvalidInputError,
    MarketplaceError,
    NetworkError,
)
from app.outbound import Outbound
from app.outbound.replies import Reply, retry_after_seconds


class Outcome(StrEnum):
    """What became of a call."""

    OK = "ok"
    RATE_LIMITED = "rate_limited"
    """Too many; later it may pass."""
    UNAVAILABLE = "unavailable"
    """No answer in time, or one that says nothing about the message; later it may pass."""
    MISCONFIGURED = "misconfigured"
    """The place or the right to write there is missing: a person has to mend it."""
    INVALID = "invalid"
    """Slack does not take this message, whenever it is sent."""
    GONE = "gone"
    """The message to edit or to reply to is not there any more."""


@dataclass(frozen=True)
class SlackAnswer:
    """What became of a call, in one word that may be shown; `ts` is the message's name in its channel."""

    outcome: Outcome
    problem: str = ""
    ts: str | None = None
    retry_after_seconds: float | None = None
    #: There was no answer, but Slack may have taken the message.
    may_have_arrived: bool = False


#: Slack's words for a message that it does not take, from its API and from webhooks.
_INVALID = {
    "invalid_arguments",
    "invalid_attachments",
    "invalid_blocks",
    "invalid_blocks_format",
    "invalid_form_data",
    "invalid_json",
    "invalid_payload",
    "missing_text_or_fallback_or_attachments",
    "msg_blocks_too_long",
    "msg_too_long",
    "no_text",
    "too_many_attachments",
}
_GONE = {
    "cannot_reply_to_message",
    "cant_update_message",
    "edit_window_closed",
    "is_inactive",
    "message_not_found",
    "restricted_action_thread_locked",
    "thread_not_found",
}
_TRANSIENT = {"fatal_error", "internal_error", "request_timeout", "rollup_error", "service_unavailable"}
_RATE_LIMITED = {"rate_limited", "ratelimited", "message_limit_exceeded"}

_AS_IF_UNAVAILABLE = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY}
_AS_IF_INVALID = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE}

#: Previews of our own links would be longer than the message.
_NO_PREVIEWS = {"unfurl_links": False, "unfurl_media": False}


class Slack:
    """Calls Slack; safe to use from many threads. Each call ends within `timeout_seconds`."""

    def __init__(self, outbound: Outbound, *, timeout_seconds: float) -> None:
        self._outbound = outbound
        self._timeout_seconds = timeout_seconds

    def post(
        self,
        destination: Destination,
        payload: Mapping[str, Any],
        *,
        thread: str | None = None,
        broadcast: bool = False,
    ) -> SlackAnswer:
        """Send a message, as a reply to the one of this name if there is one; `broadcast` shows it beside it, too."""
        message = {**payload, **_NO_PREVIEWS}
        if isinstance(destination, Webhook):
            return self._webhook(destination, message)
        if thread is not None:
            message |= {"thread_ts": thread, "reply_broadcast": broadcast}
        return self._method(destination, "chat.postMessage", message)

    def edit(self, destination: Channel, ts: str, payload: Mapping[str, Any]) -> SlackAnswer:
        """Change the message of this name."""
        # Without blocks, Slack would keep the old ones.
        return self._method(destination, "chat.update", {"blocks": [], **payload, "ts": ts})

    def _webhook(self, webhook: Webhook, message: Mapping[str, Any]) -> SlackAnswer:
        reply = self._call(webhook.url.get_secret_value(), message, {}, head_only=True)
        if isinstance(reply, SlackAnswer):
            return reply
        if reply.status in range(200, 300):
            return SlackAnswer(Outcome.OK)
        return _failed(reply.status, _word(reply.body.decode(errors="replace"), reply.status), reply)

    def _method(self, channel: Channel, method: str, message: Mapping[str, Any]) -> SlackAnswer:
        headers = {"Authorization": f"Bearer {channel.token.get_secret_value()}"}
        reply = self._call(f"{channel.api_url}/{method}", {**message, "channel": channel.channel}, headers)
        if isinstance(reply, SlackAnswer):
            return reply
        try:
            answer = json.loads(reply.body)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            answer = {}
        if reply.status == HTTPStatus.OK and answer.get("ok") is True:
            return SlackAnswer(Outcome.OK, ts=str(answer.get("ts", "")))
        if reply.status == HTTPStatus.OK and "error" not in answer:
            return SlackAnswer(Outcome.UNAVAILABLE, "the answer is not Slack's", may_have_arrived=True)
        return _failed(reply.status, _word(str(answer.get("error", "")), reply.status), reply)

    def _call(
        self, url: str, message: Mapping[str, Any], headers: Mapping[str, str], *, head_only: bool = False
    ) -> Reply | SlackAnswer:
        # ASCII, for half a character in a hostile text has no other form.
        body = json.dumps(message, separators=(",", ":")).encode()
        all_headers = {"Content-Type": "application/json; charset=utf-8", **headers}
        try:
            deadline = Deadline.after(self._timeout_seconds)
            return self._outbound.post(url, body, all_headers, deadline, head_only=head_only)
        except InvalidInputError as error:
            return SlackAnswer(Outcome.MISCONFIGURED, f"the URL {error.message}")
        except MarketplaceError as error:
            return SlackAnswer(Outcome.UNAVAILABLE, str(error), may_have_arrived=_may_have_arrived(error))


def _failed(status: int, word: str, reply: Reply) -> SlackAnswer:
    outcome = Outcome.MISCONFIGURED
    if status == HTTPStatus.TOO_MANY_REQUESTS or word in _RATE_LIMITED:
        outcome = Outcome.RATE_LIMITED
    elif status in range(500, 600) or status in _AS_IF_UNAVAILABLE or word in _TRANSIENT:
        outcome = Outcome.UNAVAILABLE
    elif status in _AS_IF_INVALID or word in _INVALID:
        outcome = Outcome.INVALID
    elif word in _GONE:
        outcome = Outcome.GONE
    asked = retry_after_seconds(reply.headers.get("Retry-After"), datetime.now(UTC))
    return SlackAnswer(outcome, word, retry_after_seconds=asked)


def _word(text: str, status: int) -> str:
    """Return Slack's word for what is wrong; anything else that an answer says is not shown."""
    return text if re.fullmatch(r"[a-z_]{1,60}", text) else f"HTTP {status}"


def _may_have_arrived(error: MarketplaceError) -> bool:
    """Tell whether the request may have been read, although there is no answer."""
    if isinstance(error, NetworkError):
        cause = error.__cause__
        broken = isinstance(cause, ConnectionError) and not isinstance(cause, ConnectionRefusedError)
        return broken or isinstance(cause, http.client.IncompleteRead)
    return isinstance(error, DeadlineExceededError | BadAnswerError)
