"""Group commit: requests that come together share one transaction, and each is answered after it.

A commit waits for the disk, once for all of them: that is what makes many commits a second possible.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

import structlog

from alerting.store import Store
from app.domain.errors import DatabaseUnavailableError

_log = structlog.stdlib.get_logger(__name__)

_T = TypeVar("_T")

#: What is done within a transaction.
Work = Callable[[sqlite3.Connection], _T]

#: Parts of one transaction. More would make the first of them wait.
_MOST_TOGETHER = 64


#: Seconds that the last commit may take.
_END_SECONDS = 2.0


class Committer:
    """Does work in transactions, on one thread; safe to call from many."""

    def __init__(self, store: Store, *, patience_seconds: float = 5.0) -> None:
        """Start the thread; nobody waits longer than `patience_seconds` for it."""
        self._store = store
        self._patience_seconds = patience_seconds
        self._waiting: queue.SimpleQueue[tuple[Work[Any], Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    def commit(self, work: Work[_T]) -> _T:
        """Return what the work returns, after its commit; it may be done twice, the first time without effect.

        Raises:
            DatabaseUnavailableError: The file cannot be written to now; after a timeout, it may have been all the same.
        """
        future: Future[_T] = Future()
        self._waiting.put((work, future))
        try:
            return future.result(self._patience_seconds)
        except FutureTimeoutError:
            # What is still in the queue then need not be done: its sender comes again.
            future.cancel()
            raise DatabaseUnavailableError("the relay's file: no commit in time") from None

    def problems(self) -> list[str]:
        """Return what is wrong with the thread."""
        return [] if self._thread.is_alive() else ["the committer has died"]

    def stop(self) -> None:
        """Commit what waits, and end the thread; nobody may come any more."""
        self._waiting.put(None)
        self._thread.join(_END_SECONDS)

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            together, is_last = [first], False
            while len(together) < _MOST_TOGETHER and not self._waiting.empty():
                following = self._waiting.get()
                if following is None:
                    is_last = True
                    break
                together.append(following)
            self._commit([(work, future) for work, future in together if future.set_running_or_notify_cancel()])
            if is_last:
                return

    def _commit(self, together: list[tuple[Work[Any], Future[Any]]]) -> None:
        try:
            with self._store.write() as connection:
                results = [work(connection) for work, _ in together]
        except DatabaseUnavailableError as error:
            for _, future in together:
                future.set_exception(error)
        except Exception as error:  # noqa: BLE001 -- a defect is told to the caller whose work it is
            if len(together) == 1:
                together[0][1].set_exception(error)
                return
            # One of them is at fault; the others must not suffer for it.
            for work in together:
                self._commit([work])
        else:
            for (_, future), result in zip(together, results, strict=True):
                future.set_result(result)
