"""What the fake Slack was sent, and how it behaves."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from loadtest.control import ControlError, known_fields, number, whole_number

#: `silent` takes the message and never says so; `refused` answers the word in `error`, as for a wrong setting.
MODES = ("ok", "rate_limited", "error", "hang", "silent", "refused")

#: Slack's words for settings that a person must mend, and the status that a webhook answers with them.
SETTINGS_ERRORS = {
    "invalid_auth": 403,
    "action_prohibited": 403,
    "invalid_token": 403,
    "channel_not_found": 404,
    "no_service": 404,
    "channel_is_archived": 410,
}

#: Newest messages that are kept.
_MOST_MESSAGES = 20_000


@dataclass(frozen=True)
class SlackBehaviour:
    """How it behaves until it is told otherwise; with `fail_first` it is ok after so many calls."""

    mode: str = "ok"
    retry_after_seconds: float = 1
    error: str = "channel_not_found"
    fail_first: int | None = None
    #: More messages than this in one second and channel are refused, as the real one does.
    per_second: int | None = None

    def as_json(self) -> dict[str, object]:
        """Return the behaviour as it is written for the live control."""
        return {
            "mode": self.mode,
            "retryAfterSeconds": self.retry_after_seconds,
            "error": self.error,
            "failFirst": self.fail_first,
            "perSecond": self.per_second,
        }


@dataclass(frozen=True)
class Message:
    """One message in a channel; `ts` is its name there, and `thread_ts` that of the one it replies to."""

    channel: str
    ts: str
    received_at: datetime
    text: str
    blocks: tuple[Any, ...]
    #: Whether stars and underscores in the text are markup.
    mrkdwn: bool = True
    thread_ts: str | None = None
    edited_at: datetime | None = None

    def as_json(self) -> dict[str, object]:
        """Return the message as `GET /messages` tells it."""
        return {
            "channel": self.channel,
            "ts": self.ts,
            "receivedAt": self.received_at.isoformat(),
            "text": self.text,
            "blocks": list(self.blocks),
            "threadTs": self.thread_ts,
            "editedAt": None if self.edited_at is None else self.edited_at.isoformat(),
        }


class Inbox:
    """The messages of all channels, oldest first, and the behaviour of each; safe to use from many threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._messages: dict[tuple[str, str], Message] = {}
        self._last_micros = 0
        self._general = SlackBehaviour()
        self._channels: dict[str, SlackBehaviour] = {}
        self._failures: Counter[str] = Counter()
        self._lately: dict[str, deque[float]] = {}
        self._calls: Counter[str] = Counter()

    def behave(self, behaviour: SlackBehaviour, *, channel: str | None = None) -> None:
        """Behave so from now on, in one channel or, whatever was said of single ones before, in all."""
        with self._guard:
            self._failures.clear()
            if channel is None:
                self._general = behaviour
                self._channels.clear()
            else:
                self._channels[channel] = behaviour

    def behaviour(self, channel: str | None = None) -> SlackBehaviour:
        """Return how it behaves."""
        with self._guard:
            return self._behaviour(channel)

    def meet(self, channel: str) -> SlackBehaviour:
        """Count a call, and return how it is to be answered."""
        with self._guard:
            behaviour = self._behaviour(channel)
            if behaviour.fail_first is not None:
                self._failures[channel] += 1
                if self._failures[channel] > behaviour.fail_first:
                    behaviour = replace(behaviour, mode="ok")
            if behaviour.mode == "ok" and self._too_many(channel, behaviour.per_second):
                behaviour = replace(behaviour, mode="rate_limited", retry_after_seconds=1)
            self._calls[behaviour.mode] += 1
            return behaviour

    def post(self, channel: str, payload: Mapping[str, Any], *, thread_ts: str | None = None) -> Message:
        """Take a message."""
        with self._guard:
            # Unique and growing, as in Slack, however fast they come.
            self._last_micros = max(self._last_micros + 1, time.time_ns() // 1000)
            ts = f"{self._last_micros // 1_000_000}.{self._last_micros % 1_000_000:06d}"
            text, blocks = payload.get("text") or "", tuple(payload.get("blocks") or ())
            marked = payload.get("mrkdwn") is not False
            message = Message(channel, ts, datetime.now(UTC), text, blocks, marked, thread_ts)
            self._messages[channel, ts] = message
            if len(self._messages) > _MOST_MESSAGES:
                del self._messages[next(iter(self._messages))]
            return message

    def edit(self, channel: str, ts: str, payload: Mapping[str, Any]) -> Message | None:
        """Change a message; None when there is none of that name."""
        with self._guard:
            message = self._messages.get((channel, ts))
            if message is None:
                return None
            text, blocks = payload.get("text") or "", tuple(payload.get("blocks") or ())
            edited = replace(message, text=text, blocks=blocks, edited_at=datetime.now(UTC))
            self._messages[channel, ts] = edited
            return edited

    def messages(self) -> list[Message]:
        """Return all messages, oldest first."""
        with self._guard:
            return list(self._messages.values())

    def calls(self) -> dict[str, int]:
        """Return how many calls were answered in which way."""
        with self._guard:
            return {mode: self._calls[mode] for mode in MODES}

    def clear(self) -> None:
        """Forget all messages and calls."""
        with self._guard:
            self._messages.clear()
            self._calls.clear()

    def _behaviour(self, channel: str | None) -> SlackBehaviour:
        return self._channels.get(channel or "", self._general)

    def _too_many(self, channel: str, per_second: int | None) -> bool:
        if per_second is None:
            return False
        now, lately = time.monotonic(), self._lately.setdefault(channel, deque())
        while lately and lately[0] <= now - 1:
            lately.popleft()
        if len(lately) >= per_second:
            return True
        lately.append(now)
        return False


def read_slack_behaviour(data: object) -> SlackBehaviour:
    """Return the behaviour that the live control was sent.

    Raises:
        ControlError: A field is unknown or has no value that it can have.
    """
    data = known_fields(data, SlackBehaviour().as_json())
    mode, error = data.get("mode"), data.get("error", SlackBehaviour.error)
    if not isinstance(mode, str) or mode not in MODES:
        raise ControlError("mode", f"must be one of {', '.join(MODES)}")
    if not isinstance(error, str) or error not in SETTINGS_ERRORS:
        raise ControlError("error", f"must be one of {', '.join(SETTINGS_ERRORS)}")
    per_second = data.get("perSecond")
    return SlackBehaviour(
        mode=mode,
        retry_after_seconds=number(data, "retryAfterSeconds", SlackBehaviour.retry_after_seconds, highest=3600),
        error=error,
        fail_first=None if data.get("failFirst") is None else whole_number(data, "failFirst", 0),
        per_second=None if per_second is None else whole_number(data, "perSecond", 1),
    )
