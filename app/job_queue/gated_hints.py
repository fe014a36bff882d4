"""The queues of hints for processes that must not wait for Redis."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from redis import Redis

from app.job_queue.gate import RedisGate
from app.job_queue.hints import HintQueue


class GatedHintQueue(HintQueue):
    """Goes through the gate with whatever API and scheduler ask of Redis."""

    def __init__(self, client: Redis, namespace: str, gate: RedisGate) -> None:
        super().__init__(client, namespace)
        self._gate = gate

    def send(self, queue: str, job_id: UUID, *, crash_count: int = 0) -> None:
        """Put one hint into a queue; after an error it may or may not have been sent, or be sent later."""
        self._gate.call(lambda: super(GatedHintQueue, self).send(queue, job_id, crash_count=crash_count))

    def waiting(self, queue: str) -> int:
        """Return how many hints wait in a queue."""
        return self._gate.call(lambda: super(GatedHintQueue, self).waiting(queue))

    def begin_epoch(self, epoch: str) -> bool:
        """Set the epoch key if it is missing; True means that Redis is empty or new, and has lost every hint."""
        return self._gate.call(lambda: super(GatedHintQueue, self).begin_epoch(epoch))

    def set_aside_in(self, queue: str) -> Iterator[tuple[UUID, bytes]]:
        """Yield what was set aside of a queue, if Redis answers at all: reading it may take longer than one call."""
        self.waiting(queue)
        yield from super().set_aside_in(queue)
