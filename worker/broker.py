"""Dramatiq on the queues of hints: no acknowledgement, no retries, no delays, no time limits of its own.

All of that is rows in the database. What is left for Dramatiq is its threads: one that takes hints, and several that
run jobs. See docs/decisions/hint-carrier.md for the accidents of its own Redis broker that this one cannot have.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import structlog
from dramatiq import Broker, Consumer, Message, MessageProxy

from app.domain.errors import RedisUnavailableError
from app.domain.jobs import ACTOR
from app.job_queue.hint_messages import BadMessage, Delivery, read_hint
from app.job_queue.hints import HintQueue

_log = structlog.stdlib.get_logger(__name__)

#: What is done with a message that leads to no job; it must not raise an error of ours.
Bury = Callable[[Delivery, BadMessage], None]


class Room:
    """How many more jobs a group of threads can run: what is taken, somebody runs at once."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._changed = threading.Condition()
        self._closed = False

    def wait(self, seconds: float) -> int:
        """Return how many places are free, after waiting for one; 0 when none became free, or after `close`."""
        with self._changed:
            self._changed.wait_for(lambda: self._free > 0 or self._closed, seconds)
            return 0 if self._closed else max(0, self._free)

    def take(self) -> None:
        """Fill one place."""
        with self._changed:
            self._free -= 1

    def leave(self) -> None:
        """Free one place."""
        with self._changed:
            self._free += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Give no more places."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class HintBroker(Broker):
    """What one group of threads consumes: a single queue of Dramatiq's, fed from these queues of hints.

    `threads` is how many hints it holds at most; `pause_seconds` tells how long to wait after so many failures of Redis
    in a row. `turned_at` is when its consumer last came round, on
    `time.monotonic()`: it does so every few seconds, whether Redis answers or not.
    """

    def __init__(
        self,
        hints: HintQueue,
        queues: Sequence[str],
        *,
        threads: int,
        poll_seconds: float,
        pause_seconds: Callable[[int], float],
        bury: Bury,
    ) -> None:
        super().__init__(middleware=[])
        self.hints = hints
        self.hint_queues = queues
        self.poll_seconds = poll_seconds
        self.pause_seconds = pause_seconds
        self.bury = bury
        self.room = Room(threads)
        self.closing = threading.Event()
        self.turned_at = time.monotonic()

    def close(self) -> None:
        """Take no more hints."""
        self.closing.set()
        self.room.close()

    def declare_queue(self, queue_name: str) -> None:
        """Make workers consume this queue, and no queue of delayed messages beside it."""
        if queue_name not in self.queues:
            self.queues[queue_name] = None
            self.emit_after("declare_queue", queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30_000) -> HintConsumer:  # noqa: ARG002 -- Dramatiq's signature
        """Return the consumer of the queue."""
        return HintConsumer(self, queue_name)


class HintConsumer(Consumer):
    """Takes hints as long as there is room for them; used by one thread, but for `ack` and `nack`.

    It outlives every failure of Redis, with growing, jittered pauses, and tells of it once.
    """

    def __init__(self, broker: HintBroker, queue_name: str) -> None:
        self._broker = broker
        self._queue_name = queue_name
        self._taken: deque[Delivery] = deque()
        self._failures = 0

    def __next__(self) -> MessageProxy | None:
        self._broker.turned_at = time.monotonic()
        if not self._taken:
            self._take()
        while self._taken:
            self._broker.turned_at = time.monotonic()
            delivery = self._taken.popleft()
            hint = read_hint(delivery.body)
            if not isinstance(hint, BadMessage):
                self._broker.room.take()
                message: Message[None] = Message(
                    queue_name=self._queue_name, actor_name=ACTOR, args=(delivery, hint), kwargs={}, options={}
                )
                return MessageProxy(message)
            self._broker.bury(delivery, hint)
        return None

    def ack(self, message: MessageProxy) -> None:  # noqa: ARG002 -- Dramatiq's signature
        """Note that a job has ended; Redis has nothing to be told."""
        self._broker.room.leave()

    nack = ack

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Give hints back that no thread has begun with."""
        deliveries = [message.args[0] for message in messages]
        for _ in deliveries:
            self._broker.room.leave()
        self._give_back(deliveries)

    def close(self) -> None:
        """Give back what was taken and not handed out."""
        self._give_back(self._taken)
        self._taken.clear()

    def _take(self) -> None:
        broker = self._broker
        room = broker.room.wait(broker.poll_seconds)
        broker.turned_at = time.monotonic()
        if not room:
            return
        try:
            taken = broker.hints.take(broker.hint_queues, limit=room, wait_seconds=broker.poll_seconds)
        except RedisUnavailableError as error:
            if not self._failures:
                _log.warning("hints_not_reachable", queues=list(broker.hint_queues), reason=str(error))
            self._failures += 1
            broker.closing.wait(broker.pause_seconds(self._failures))
            return
        if self._failures:
            _log.info("hints_reachable", queues=list(broker.hint_queues))
            self._failures = 0
        if broker.closing.is_set():
            self._give_back(taken)
        else:
            self._taken.extend(taken)

    def _give_back(self, deliveries: Iterable[Delivery]) -> None:
        deliveries = list(deliveries)
        try:
            self._broker.hints.give_back(deliveries)
        except RedisUnavailableError as error:
            _log.warning("hints_not_given_back", hints=len(deliveries), reason=str(error))
