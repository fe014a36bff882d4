"""Hints as they stand in Redis: Dramatiq's message format, as JSON, and nothing secret in it.

Whatever else stands there is no reason to stop: it is read as a `BadMessage`.
"""

from __future__ import annotations

from dataclasses import dataclass

from dramatiq import Message
from pydantic import ValidationError

from app.domain.dead_letters import MessageFault
from app.domain.errors import InvalidInputError
from app.domain.jobs import ACTOR, JobMessage
from app.domain.strict_json import read_json

#: A hint has about 300 bytes; anything longer than this is none, and is kept up to this length.
MAX_BYTES = 4096


@dataclass(frozen=True)
class Delivery:
    """What a worker took out of a queue."""

    queue: str
    body: bytes


@dataclass(frozen=True)
class BadMessage:
    """Why a message leads to no job, for people: `text` names no value that it holds."""

    fault: MessageFault
    text: str


def encode_hint(queue: str, hint: JobMessage) -> bytes:
    """Return the body of a hint."""
    message: Message[None] = Message(
        queue_name=queue,
        actor_name=ACTOR,
        args=(),
        kwargs={"message": hint.model_dump(mode="json", by_alias=True)},
        options={},
    )
    return message.encode()


def read_hint(body: bytes) -> JobMessage | BadMessage:
    """Return the hint, or why it is none."""
    if len(body) > MAX_BYTES:
        return BadMessage(MessageFault.UNDECODABLE, f"{len(body)} bytes, where {MAX_BYTES} is the most")
    try:
        return _hint_in(read_json(body, place="message"))
    except InvalidInputError as error:
        return BadMessage(MessageFault.UNDECODABLE, f"the message {error.message}")
    except ValidationError as error:
        # The type of the fault only: its text, and the name of a field that we do not know, hold what was sent.
        first = error.errors(include_url=False, include_input=False)[0]
        field = "" if first["type"] == "extra_forbidden" else "".join(f".{step}" for step in first["loc"])
        return BadMessage(MessageFault.UNDECODABLE, f"message{field} is not valid ({first['type']})")


def _hint_in(message: object) -> JobMessage | BadMessage:
    match message:
        case {"actor_name": str(actor)} if actor != ACTOR:
            return BadMessage(MessageFault.UNKNOWN_ACTOR, f"the message is for another actor than {ACTOR}")
        case {"actor_name": str(), "kwargs": {"message": {"v": version}}} if version != 1:
            return BadMessage(MessageFault.VERSION, "the message is not of version 1")
        case {"actor_name": str(), "kwargs": {"message": hint}}:
            return JobMessage.model_validate(hint)
        case _:
            return BadMessage(MessageFault.UNDECODABLE, "the message names no actor and no job")
