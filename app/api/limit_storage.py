"""Where rate limits are counted: in Redis, and in this process's own memory while Redis does not answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from limits.storage import MemoryStorage, RedisStorage, Storage
from redis import ConnectionPool

from app.domain.errors import RedisUnavailableError
from app.job_queue.gate import RedisGate

_T = TypeVar("_T")

#: Name under which Flask-Limiter finds this storage.
SCHEME = "marketplace"


class LimitStorage(Storage):
    """Counts in fixed windows, and never fails.

    Flask-Limiter's own fallback saves only the first of several requests that meet an outage, and each request that
    looks whether it is over waits for Redis itself. Here all of them go through the gate.
    """

    STORAGE_SCHEME = [SCHEME]  # noqa: RUF012 -- the library's signature

    def __init__(self, uri: str, *, pool: ConnectionPool, gate: RedisGate, key_prefix: str) -> None:
        super().__init__(uri)
        self._gate = gate
        self._shared = RedisStorage("redis://", connection_pool=pool, key_prefix=key_prefix)
        self._own = MemoryStorage()

    @property
    def base_exceptions(self) -> type[Exception]:
        """Return the error that may come from here."""
        return RedisUnavailableError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count, and return what is counted in this window."""
        return self._ask(lambda storage: storage.incr(key, expiry, amount))

    def get(self, key: str) -> int:
        """Return what is counted in this window."""
        return self._ask(lambda storage: storage.get(key))

    def get_expiry(self, key: str) -> float:
        """Return when this window ends, in seconds since 1970."""
        return self._ask(lambda storage: storage.get_expiry(key))

    def clear(self, key: str) -> None:
        """Forget what is counted."""
        self._ask(lambda storage: storage.clear(key))

    def reset(self) -> int | None:
        """Forget everything."""
        return self._ask(lambda storage: storage.reset())

    def check(self) -> bool:
        """Tell that one can count."""
        return True

    def _ask(self, work: Callable[[Storage], _T]) -> _T:
        try:
            return self._gate.call(lambda: work(self._shared))
        except RedisUnavailableError:
            return work(self._own)
