"""Watching a drain until it has ended, in whatever way; the drain itself goes on without whoever watches."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.cli.exit_codes import ExitCode, exit_code_of
from app.cli.output import readable
from app.cli.remote import Remote
from app.domain.controls import QueueState
from app.domain.errors import MarketplaceError, RecoverableError

#: Queues as the API tells them.
Queues = Sequence[dict[str, Any]]

_POLL_SECONDS = 1.0
#: Longer than an API takes to restart.
_SILENCE_SECONDS = 30.0
#: A scheduler notes the end of a drain within a second or two.
_UNNOTED_SECONDS = 10.0


class DrainEnd(StrEnum):
    """Why nobody watches any more."""

    DRAINED = "drained"
    EMPTY = "empty"
    """Nothing is left, and no scheduler is there to note it."""
    PAUSED = "paused"
    """Somebody paused a queue meanwhile."""
    RESUMED = "resumed"
    """Somebody resumed a queue meanwhile."""
    TIMED_OUT = "timed_out"
    INTERRUPTED = "interrupted"
    UNREACHABLE = "unreachable"
    """The API did not answer, or not to us."""


@dataclass(frozen=True)
class DrainReport:
    """How the watching ended, the queues as they were seen last, and the error that ended it, if one did."""

    end: DrainEnd
    queues: Queues
    error: MarketplaceError | None = None

    @property
    def state(self) -> str:
        """The state that the queues were in when they were last seen, the least finished one; or `unknown`."""
        states = [queue["state"] for queue in self.queues]
        return next((state for state in _LEAST_FINISHED_FIRST if state in states), "unknown")

    @property
    def exit_code(self) -> ExitCode:
        """What a script is told."""
        if self.error is not None:
            return exit_code_of(self.error)
        return _EXIT_CODES.get(self.end, ExitCode.FAILED)


_LEAST_FINISHED_FIRST = (QueueState.RUNNING, QueueState.PAUSED, QueueState.DRAINING, QueueState.DRAINED)
_EXIT_CODES = {DrainEnd.DRAINED: ExitCode.OK, DrainEnd.EMPTY: ExitCode.OK, DrainEnd.INTERRUPTED: ExitCode.INTERRUPTED}


def drain(
    remote: Remote, request: dict[str, object], *, timeout_seconds: float, show: Callable[[Queues], None]
) -> DrainReport:
    """Begin a drain, or find one that has begun, and watch it; `show` gets the queues each time they are seen.

    Raises:
        MarketplaceError: The API refused to begin: nothing has changed.
    """
    watch = _Watch(remote, timeout_seconds)
    with _signals_interrupt():
        try:
            watch.begin(request)
            while True:
                show(watch.queues)
                end = watch.end()
                if end is not None:
                    return DrainReport(end, watch.queues)
                watch.look_again()
        except KeyboardInterrupt:
            return DrainReport(DrainEnd.INTERRUPTED, watch.queues)
        except MarketplaceError as error:
            if not watch.queues and not isinstance(error, RecoverableError):
                raise
            return DrainReport(DrainEnd.UNREACHABLE, watch.queues, error)


def told(queue: dict[str, Any]) -> str:
    """Return one queue in a line, for a person."""
    state, waiting = queue["state"], queue["pendingDue"] + queue["pendingDelayed"]
    if state == QueueState.DRAINING:
        parts = [f"{queue['left']} left"]
    else:
        parts = [f"{waiting} waiting" if waiting else "nothing waits"]
    if queue["active"]:
        parts.append(f"{queue['active']} running")
    if queue["pendingDelayed"]:
        parts.append(f"{queue['pendingDelayed']} to be tried again, the next at {queue['nextDueAt']}")
    return f"{queue['queue']} {state}: {', '.join(parts)}"


def last_words(report: DrainReport, options: str) -> tuple[str, list[str]]:
    """Return what a person is told at the end, and the commands that may come next, with these `options`."""
    reason = f"{options} --reason TEXT"
    drain_on, pause, resume = (f"marketplace queue {verb}{reason}" for verb in ("drain", "pause", "resume"))
    show, archive = "marketplace queue show", "marketplace queue archive FILE --failed-since 24h"
    sentence, following = {
        DrainEnd.DRAINED: ("new approvals run in place, new analyses wait", [archive, resume]),
        DrainEnd.EMPTY: ("no scheduler has noted that nothing is left: start one, or drain again", [drain_on, show]),
        DrainEnd.PAUSED: (_by_whom(report, QueueState.PAUSED), [archive, drain_on, resume]),
        DrainEnd.RESUMED: (_by_whom(report, QueueState.RUNNING), [show, drain_on]),
        DrainEnd.TIMED_OUT: ("not done in time; the drain goes on", [drain_on, pause, archive]),
        DrainEnd.INTERRUPTED: ("no longer watched; a drain that has begun goes on", [drain_on, pause, resume]),
        DrainEnd.UNREACHABLE: (f"no longer seen ({report.error}); a drain that has begun goes on", [show, drain_on]),
    }[report.end]
    seen = "; ".join(told(queue) for queue in report.queues)
    return f"{report.state}: {sentence}{f'. {seen}' if seen else ''}", following


def _by_whom(report: DrainReport, state: QueueState) -> str:
    for queue in report.queues:
        if queue["state"] == state:
            return f"switched by {readable(queue['changedBy'])} meanwhile ({readable(queue['reason'])})"
    return ""


class _Watch:
    """What is known of a drain, and for how long."""

    def __init__(self, remote: Remote, timeout_seconds: float) -> None:
        self.queues: Queues = []
        self._remote = remote
        self._deadline = time.monotonic() + timeout_seconds
        self._seen_at = time.monotonic()
        self._nothing_left_since: float | None = None

    def begin(self, request: dict[str, object]) -> None:
        self._see(self._remote.post("queue/drain", request)["items"])

    def end(self) -> DrainEnd | None:
        states = {queue["state"] for queue in self.queues}
        if states == {QueueState.DRAINED}:
            return DrainEnd.DRAINED
        for state, end in ((QueueState.PAUSED, DrainEnd.PAUSED), (QueueState.RUNNING, DrainEnd.RESUMED)):
            if state in states:
                return end
        if self._nothing_left_since is not None and time.monotonic() - self._nothing_left_since > _UNNOTED_SECONDS:
            return DrainEnd.EMPTY
        return DrainEnd.TIMED_OUT if time.monotonic() > self._deadline else None

    def look_again(self) -> None:
        """Ask after a pause; an API that is silent for a while, as during a restart, is asked again."""
        time.sleep(_POLL_SECONDS)
        try:
            found = self._remote.get("queue")["items"]
        except RecoverableError:
            if time.monotonic() > min(self._seen_at + _SILENCE_SECONDS, self._deadline):
                raise
        else:
            names = {queue["queue"] for queue in self.queues}
            self._see([queue for queue in found if queue["queue"] in names])

    def _see(self, queues: Queues) -> None:
        self.queues = queues
        self._seen_at = time.monotonic()
        if any(queue["left"] for queue in queues):
            self._nothing_left_since = None
        elif self._nothing_left_since is None:
            self._nothing_left_since = self._seen_at


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Let SIGTERM end the watching as Ctrl-C does, and Ctrl-C do so even where a script's `&` has switched it off."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
