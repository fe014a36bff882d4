"""Jobs that a process runs beside its main work: the API in place of the queue, the scheduler in place of workers."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from app.domain.deadline import Deadline
from app.domain.errors import DatabaseUnavailableError
from app.domain.jobs import JobKind, RunVia
from app.job_execution import JobExecutor, RunEnd
from app.live_metrics import LiveMetrics
from app.metrics import ERRORS

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, eq=False)
class InPlaceRun:
    """A run in the background; `ended` gets how it ended, None when nobody knows."""

    kind: JobKind
    ended: Future[RunEnd | None] = field(default_factory=Future)


class InPlaceRuns:
    """Runs jobs in the background, at most `limits` of each kind at once; safe to use from many threads.

    Each run has a thread of its own, which does not keep the process from ending.
    """

    def __init__(
        self, executor: JobExecutor, metrics: LiveMetrics, *, via: RunVia, limits: Mapping[JobKind, int]
    ) -> None:
        self._executor = executor
        self._metrics = metrics
        self._via = via
        self._limits = limits
        self._runs: dict[UUID, InPlaceRun] = {}
        #: A thread outlives its run by what the run's end brings about.
        self._threads: set[threading.Thread] = set()
        self._stopping = False
        self._guard = threading.Lock()

    def start(self, kind: JobKind, job_id: UUID, *, even_if_paused: bool) -> InPlaceRun | None:
        """Begin to run a job; None when there is no room, when this process runs it already, or when it stops.

        With `even_if_paused`, for an operator has ordered it, a paused queue does not matter. The run claims the job
        first, as every run does: when somebody else was faster, it ends `not_claimed`.
        """
        run = InPlaceRun(kind)
        with self._guard:
            if self._stopping or job_id in self._runs or self._room(kind) <= 0:
                return None
            self._runs[job_id] = run
            thread = threading.Thread(
                target=self._run, args=(job_id, run, even_if_paused), name=f"in-place-{kind}", daemon=True
            )
            self._threads.add(thread)
            thread.start()
        return run

    def room(self, kind: JobKind) -> int:
        """Return how many more jobs of this kind could begin now."""
        with self._guard:
            return self._room(kind)

    @property
    def running(self) -> int:
        """How many runs have not come back yet, those that were given back included."""
        with self._guard:
            return len(self._threads)

    def stop(self, *, grace_seconds: float) -> int:
        """Begin no more, let what runs end for up to `grace_seconds`, and give back the rest; returns how many."""
        deadline = Deadline.after(grace_seconds)
        with self._guard:
            self._stopping = True
            threads = list(self._threads)
        for thread in threads:
            thread.join(deadline.remaining_seconds)
        with self._guard:
            left = list(self._runs.values())
        released = 0
        try:
            released = self._executor.release_held() if left else 0
        except DatabaseUnavailableError as error:
            _log.warning("in_place_runs_not_released", reason=str(error))
        for run in left:
            _tell(run, None)
        return released

    def _room(self, kind: JobKind) -> int:
        return self._limits.get(kind, 0) - sum(run.kind is kind for run in self._runs.values())

    def _run(self, job_id: UUID, run: InPlaceRun, even_if_paused: bool) -> None:  # noqa: FBT001 -- of a thread
        end = None
        try:
            end = self._executor.run(job_id, via=self._via, even_if_paused=even_if_paused)
        except DatabaseUnavailableError as error:
            _log.warning("in_place_run_dropped", job_id=str(job_id), reason=str(error))
        except Exception:  # noqa: BLE001 -- the edge of a thread: whoever waits must be told
            self._metrics.count(ERRORS, place="job")
            _log.exception("in_place_run_raised", job_id=str(job_id))
        with self._guard:
            del self._runs[job_id]
        _tell(run, end)
        with self._guard:
            self._threads.discard(threading.current_thread())


def _tell(run: InPlaceRun, end: RunEnd | None) -> None:
    with contextlib.suppress(InvalidStateError):  # told already, when the process stopped
        run.ended.set_result(end)
