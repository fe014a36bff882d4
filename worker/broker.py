"""Dramatiq on Redis as a carrier of hints: no retries, no delays, no time limits of its own.

All of that is rows in the database (docs/decisions/own-retries.md). What is left for Dramatiq is to fetch, to hand out
and to acknowledge; its redelivery only tidies up after dead workers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from dramatiq import MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.errors import ConnectionClosed
from redis import Redis, RedisError

from app.settings import WorkerSettings

#: Dramatiq's chance, in a million, that a fetch also frees the messages of dead workers: the default (1,000) leaves
#: them for minutes on a quiet queue.
_MAINTENANCE_CHANCE = 100_000


class HintConsumer(_RedisConsumer):
    """Consumer for which every error of Redis is a lost connection.

    Stock Dramatiq knows `ConnectionError` only: a timeout or a fail-over to a replica ends its consumer for good
    (dramatiq#894).
    """

    def ack(self, message: MessageProxy) -> None:
        """Acknowledge a message."""
        with _errors_as_lost_connection():
            super().ack(message)  # type: ignore[no-untyped-call]

    def nack(self, message: MessageProxy) -> None:
        """Reject a message."""
        with _errors_as_lost_connection():
            super().nack(message)  # type: ignore[no-untyped-call]

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Give messages back."""
        with _errors_as_lost_connection():
            super().requeue(messages)  # type: ignore[no-untyped-call]

    def __next__(self) -> MessageProxy | None:
        with _errors_as_lost_connection():
            message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]
            return message


class HintBroker(RedisBroker):
    """Redis broker on the pool of the given client; it opens no connection before it is used."""

    def __init__(self, client: Redis, namespace: str, settings: WorkerSettings) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            client=client,
            namespace=namespace,
            middleware=[],
            heartbeat_timeout=round(settings.heartbeat_timeout_seconds * 1000),
            maintenance_chance=_MAINTENANCE_CHANCE,
        )

    @property
    def consumer_class(self) -> type[HintConsumer]:
        """Return our consumer."""
        return HintConsumer


@contextmanager
def _errors_as_lost_connection() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise ConnectionClosed(error) from None
