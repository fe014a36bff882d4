"""Levels of one source, read by one thread at a time, and told in time even when the source does not answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTimeError
from time import monotonic

import structlog
from prometheus_client.core import GaugeMetricFamily

from app.domain.deadline import Deadline

_log = structlog.stdlib.get_logger(__name__)


class TimelySource:
    """Reads a source for as many scrapes at once as there are; safe to use from many threads.

    `read` runs in a thread of its own, never twice at once. What it returned or raised stands for `cache_seconds`.
    `silent` are the levels of a source that has not answered.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[], Sequence[GaugeMetricFamily]],
        *,
        cache_seconds: float,
        silent: Sequence[GaugeMetricFamily] = (),
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._name = name
        self._read = read
        self._cache_seconds = cache_seconds
        self._silent = silent
        self._clock = clock
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"levels-{name}")
        self._reading: Future[Sequence[GaugeMetricFamily]] | None = None
        self._ended_at = 0.0

    def ask(self) -> Future[Sequence[GaugeMetricFamily]]:
        """Return the reading that is under way or fresh enough, or begin a new one."""
        with self._lock:
            if self._reading is None or (
                self._reading.done() and self._clock() - self._ended_at >= self._cache_seconds
            ):
                self._reading = self._thread.submit(self._timed)
            return self._reading

    def levels(self, reading: Future[Sequence[GaugeMetricFamily]], deadline: Deadline) -> Sequence[GaugeMetricFamily]:
        """Return what this reading tells, or the levels of a silent source when it fails or has not ended by then."""
        try:
            return reading.result(deadline.remaining_seconds)
        except NotInTimeError:
            _log.warning("levels_not_read", source=self._name, reason="no answer in time")
        except Exception as error:  # noqa: BLE001 -- a server that talks nonsense makes its client raise anything
            _log.warning("levels_not_read", source=self._name, reason=f"{type(error).__name__}: {error}")
        return self._silent

    def close(self) -> None:
        """End the thread as soon as its reading lets it."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _timed(self) -> Sequence[GaugeMetricFamily]:
        try:
            return self._read()
        finally:
            self._ended_at = self._clock()
