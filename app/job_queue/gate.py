"""A gate before Redis: while it is not there, whoever asks is told so at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError

from app.domain.errors import RedisUnavailableError

_log = structlog.stdlib.get_logger(__name__)

_T = TypeVar("_T")

#: Calls that may be under way at once; one that hangs holds its place until the system gives up.
_MOST_CALLS = 16


class RedisGate:
    """Bounds what Redis can cost its callers; safe to use from many threads, and no lock is held during a call.

    A call runs on a thread of the gate's own. The client's timeouts hold for one step each, and not at all for the name
    service, but a caller waits `limit_seconds` for resolution, connection, handshake and command together.

    When no answer came, or Redis refuses every write, calls are refused for `pause_seconds`; then one at a time tries
    again. `pause_seconds` must be longer than `limit_seconds`.
    """

    def __init__(
        self, *, limit_seconds: float, pause_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit_seconds = limit_seconds
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._guard = threading.Lock()
        #: When the next call may try; None while Redis is there.
        self._closed_until: float | None = None
        self._threads = ThreadPoolExecutor(_MOST_CALLS, thread_name_prefix="redis")

    def call(self, work: Callable[[], _T]) -> _T:
        """Return what `work`, which talks to Redis, returns.

        Raises:
            RedisUnavailableError: Redis refused, or did not answer in time; then `work` may still reach it later.
        """
        self._enter()
        call = self._threads.submit(work)
        try:
            answer = call.result(self._limit_seconds)
        except Exception as error:
            # Anything: a server that talks nonsense makes its client raise whatever it likes.
            call.cancel()
            if _refuses_this_only(error):
                self._open()
            else:
                self._close(type(error.__cause__ or error).__name__)
            if isinstance(error, RedisUnavailableError):
                raise
            raise RedisUnavailableError(f"Redis: {type(error).__name__}") from error
        self._open()
        return answer

    def close(self) -> None:
        """End the threads as soon as their calls let them."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _enter(self) -> None:
        with self._guard:
            if self._closed_until is None:
                return
            now = self._clock()
            if now < self._closed_until:
                raise RedisUnavailableError("Redis was not there a moment ago")
            # This call tries; until its outcome is known, the others are refused.
            self._closed_until = now + self._pause_seconds

    def _open(self) -> None:
        if self._closed_until is None:
            return
        with self._guard:
            self._closed_until = None
        _log.info("redis_available")

    def _close(self, reason: str) -> None:
        with self._guard:
            answered = self._closed_until is None
            self._closed_until = self._clock() + self._pause_seconds
        if answered:
            _log.warning("redis_unavailable", reason=reason)


def _refuses_this_only(error: Exception) -> bool:
    """Tell whether Redis has answered, and refused this call only: it is not full, not out of disk, no replica."""
    cause = error.__cause__ or error
    if not isinstance(cause, ResponseError) or isinstance(cause, OutOfMemoryError | ReadOnlyError):
        return False
    return not str(cause).startswith("MISCONF")
