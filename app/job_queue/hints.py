"""The queues of hints: messages that say "look at job X now".

A queue is one list in Redis. A hint may be lost or sent twice: the row of the job is the truth, so a hint that has been
taken is not kept anywhere (docs/decisions/hint-carrier.md). The web process knows the worker's actor by name only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from redis import Redis, RedisError
from redis.exceptions import ReadOnlyError

from app.domain.errors import RedisUnavailableError
from app.domain.jobs import JobMessage
from app.job_queue.hint_messages import Delivery, encode_hint


class HintQueue:
    """Sends hints, takes them, and tells how many wait; safe to use from many threads.

    Raises:
        RedisUnavailableError: From every method, when Redis did not do it, or did not tell.
    """

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        timeout_seconds = client.get_connection_kwargs().get("socket_timeout")
        self._longest_wait_seconds = math.inf if timeout_seconds is None else timeout_seconds / 2

    def send(self, queue: str, job_id: UUID, *, crash_count: int = 0) -> None:
        """Put one hint into a queue, in one round trip; after an error it may or may not have been sent."""
        with self._errors_translated():
            self._client.rpush(self._key(queue), encode_hint(queue, JobMessage(job_id=job_id, crash_count=crash_count)))

    def take(self, queues: Sequence[str], *, limit: int, wait_seconds: float) -> list[Delivery]:
        """Take up to `limit` messages out of the first of these queues that has any, oldest first.

        While all are empty it waits for one, which then comes at once; up to `wait_seconds`, and never for longer than
        half of what the client waits for an answer. Of several who wait, one gets it. What Redis has handed out and the
        network has lost is lost.
        """
        keys = {self._key(queue): queue for queue in queues}
        wait_seconds = min(wait_seconds, self._longest_wait_seconds)
        found: Any
        with self._errors_translated():
            found = self._client.blmpop(wait_seconds, len(keys), *keys, direction="LEFT", count=limit)
        if not found:
            return []
        key, bodies = found
        return [Delivery(keys[key.decode()], body) for body in bodies]

    def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Put back what was taken, where it was: in front of what has come since."""
        for delivery in reversed(deliveries):
            with self._errors_translated():
                self._client.lpush(self._key(delivery.queue), delivery.body)

    def waiting(self, queue: str) -> int:
        """Return how many hints wait in a queue."""
        with self._errors_translated():
            return int(self._client.llen(self._key(queue)))

    def begin_epoch(self, epoch: str) -> bool:
        """Set the epoch key if it is missing; True means that Redis is empty or new, and has lost every hint."""
        with self._errors_translated():
            return bool(self._client.set(self._key("epoch"), epoch, nx=True))

    def set_aside(self, queue: str, letter_id: UUID, letter: bytes) -> None:
        """Keep a message that leads to no job, and cannot be archived now, in the queue's dead-letter hash."""
        with self._errors_translated():
            self._client.hset(self._dead(queue), str(letter_id), letter)

    def set_aside_in(self, queue: str) -> Iterator[tuple[UUID, bytes]]:
        """Yield what was set aside of a queue."""
        with self._errors_translated():
            for letter_id, letter in self._client.hscan_iter(self._dead(queue)):
                yield UUID(letter_id.decode()), letter

    def forget(self, queue: str, letter_id: UUID) -> None:
        """Remove what was set aside: it is archived now."""
        with self._errors_translated():
            self._client.hdel(self._dead(queue), str(letter_id))

    def _key(self, name: str) -> str:
        return f"{self._namespace}:{name}"

    def _dead(self, queue: str) -> str:
        return f"{self._key(queue)}.XQ"

    @contextmanager
    def _errors_translated(self) -> Iterator[None]:
        try:
            yield
        except RedisError as error:
            if isinstance(error, ReadOnlyError):
                # A fail-over: these connections lead to a replica now, new ones to the primary.
                self._client.connection_pool.disconnect(inuse_connections=False)
            raise RedisUnavailableError(f"Redis: {type(error).__name__}") from error
