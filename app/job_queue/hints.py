"""Producer of hints: messages that say "look at job X now".

A hint may be lost or sent twice: the row of the job is the truth. The web process knows the worker's actor by name
only.
"""

from __future__ import annotations

from uuid import UUID

from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from redis import Redis, RedisError

from app.domain.errors import RedisUnavailableError
from app.domain.jobs import ACTOR, JobMessage


class HintQueue:
    """Sends hints, and tells how many wait."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._broker = RedisBroker(client=client, namespace=namespace, middleware=[])

    def send(self, queue: str, job_id: UUID) -> None:
        """Put one hint into a queue.

        Raises:
            RedisUnavailableError: It may or may not have been sent.
        """
        message: Message[None] = Message(
            queue_name=queue,
            actor_name=ACTOR,
            args=(),
            kwargs={"message": JobMessage(job_id=job_id).model_dump(mode="json", by_alias=True)},
            options={},
        )
        try:
            self._broker.enqueue(message)
        except RedisError as error:
            raise _translated(error) from error

    def waiting(self, queue: str) -> int:
        """Return how many hints wait in a queue.

        Raises:
            RedisUnavailableError: Redis did not tell.
        """
        try:
            return int(self._client.llen(f"{self._namespace}:{queue}"))
        except RedisError as error:
            raise _translated(error) from error

    def begin_epoch(self, epoch: str) -> bool:
        """Set the epoch key if it is missing; True means that Redis is empty or new, and has lost every hint.

        Raises:
            RedisUnavailableError: Redis did not tell.
        """
        try:
            return bool(self._client.set(f"{self._namespace}:epoch", epoch, nx=True))
        except RedisError as error:
            raise _translated(error) from error


def _translated(error: RedisError) -> RedisUnavailableError:
    return RedisUnavailableError(f"Redis: {type(error).__name__}")
