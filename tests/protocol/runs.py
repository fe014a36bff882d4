"""Worker processes whose every step is made by hand."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from queue import SimpleQueue

from app.domain.errors import DatabaseUnavailableError
from app.job_execution import JobExecutor, RunEnd
from app.job_runs import Heartbeat, JobRun
from app.presence import Presence
from app.storage.transitions import Claim
from tests.protocol.doubles import Hint

#: More than any step takes.
_STEP_SECONDS = 30.0


class _Vanished(BaseException):
    """The end of a process, as its threads see it: nothing more is written."""


class Run(threading.Thread):
    """A hint, worked on in a thread of its own that moves only while somebody waits for it."""

    def __init__(self, executor: JobExecutor, hint: Hint) -> None:
        super().__init__(daemon=True)
        self.claim: Claim | None = None
        self.end: RunEnd | None = None
        self._executor = executor
        self._hint = hint
        self._defect: Exception | None = None
        self._stood_still = threading.Event()
        self._orders: SimpleQueue[BaseException | None] = SimpleQueue()

    def begin(self) -> Claim | None:
        """Look at the job; return its claim, or None when it is not due."""
        self.start()
        self._wait()
        return self.claim

    def finish(self, error: Exception | None = None) -> RunEnd | None:
        """Let the work end, well or with an error; None when the database did not answer to the last try."""
        self._order(error)
        return self.end

    def vanish(self) -> None:
        """Let the process of this run die."""
        self._order(_Vanished())

    def stand_still(self, run: JobRun) -> None:
        """Do what the work of a job does: take its time. Called in this thread."""
        self.claim = run.claim
        self._stood_still.set()
        order = self._orders.get()
        if order is not None:
            raise order

    def run(self) -> None:
        try:
            self.end = self._executor.run(self._hint.job_id, crash_count=self._hint.crash_count)
        except (DatabaseUnavailableError, _Vanished):
            self.end = None
        except Exception as error:  # noqa: BLE001 -- told to the thread that waits
            self._defect = error
        finally:
            self._stood_still.set()

    def _order(self, order: BaseException | None) -> None:
        self._stood_still.clear()
        self._orders.put(order)
        self._wait()
        self.join(_STEP_SECONDS)

    def _wait(self) -> None:
        assert self._stood_still.wait(_STEP_SECONDS), "a run hangs"
        if self._defect is not None:
            raise self._defect


@dataclass
class Process:
    """A process that runs jobs: what others see of it, and the runs that it holds."""

    presence: Presence
    executor: JobExecutor
    heartbeat: Heartbeat
    runs: list[Run] = field(default_factory=list)

    def stop(self) -> None:
        """Give back what it holds; its threads have not ended yet."""
        self.executor.release_held()
        self.presence.leave()

    def die(self, *, with_host: bool) -> None:
        """End without a word; on a host that lives, the others can see it."""
        for run in self.runs:
            run.vanish()
        if with_host:
            self.presence.leave()
        elif self.presence._descriptor is not None:
            os.close(self.presence._descriptor)
            self.presence._descriptor = None
