"""The supervisor: starts programs, restarts what dies, ends what is frozen, stops everything in order."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from app.domain.errors import MarketplaceError
from deploy.local.child import Child, Program, how_it_ended
from deploy.local.guard import Guard
from deploy.local.restarts import Notices
from deploy.local.silence import LIMIT_SECONDS, Silence

#: A start takes 3 s; a machine that is busy with other things may need far longer.
START_SECONDS = 60.0
_TICK_SECONDS = 0.05
#: A killed process is gone at once, unless the kernel holds it in a system call.
_KILL_SECONDS = 5.0


class StackError(MarketplaceError):
    """The stack cannot run; the text says which process failed and ends with the last lines of its log."""

    code = "stack"


class StopRequest:
    """Asked once, work in flight finishes; asked twice, nothing is waited for."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self) -> None:
        """Ask to stop; from any thread or signal handler."""
        self._count += 1

    @property
    def is_made(self) -> bool:
        """Whether to stop."""
        return self._count > 0

    @property
    def is_urgent(self) -> bool:
        """Whether to stop without waiting."""
        return self._count > 1


@contextmanager
def signals_to(request: StopRequest) -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into requests to stop.

    Handlers are set explicitly: Python leaves SIGINT ignored when a shell script started it with `&`.
    """

    def handle(_number: int, _frame: FrameType | None) -> None:
        request()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Supervisor:
    """Runs programs until a stop is requested.

    `programs` start side by side: each waits by itself for what it needs. `stop_order` names all that keep running.
    `processes` is the directory where those of the product show that they are well. `say` gets messages for a person;
    `on_change` is called when a process has been started again.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        stop_order: Sequence[str],
        *,
        logs: Path,
        processes: Path,
        request: StopRequest,
        say: Callable[[str], None],
        on_change: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._request = request
        self._say = say
        self._on_change = on_change
        self._clock = clock
        self._guard = Guard()
        self._children = {
            program.name: Child(program, logs / f"{program.name}.log", self._guard) for program in programs
        }
        self._lasting = [self._children[name] for name in stop_order]
        self._silence = Silence(processes, clock)
        self._notices = Notices(say, clock)

    def pids(self) -> dict[str, int]:
        """Return the ids of the running processes by name, the guard's among them."""
        running = {child.name: child.pid for child in self._lasting if child.pid is not None}
        return {**running, "guard": self._guard.pid}

    def run(self, on_ready: Callable[[], None], on_stop: Callable[[], None] = lambda: None) -> None:
        """Start everything, call `on_ready`, watch until a stop is requested; then `on_stop`, and stop everything.

        Raises:
            StackError: A process failed while starting. Everything has been stopped.
        """
        try:
            self._start()
            if not self._request.is_made:
                on_ready()
            while not self._request.is_made:
                self._watch()
                time.sleep(_TICK_SECONDS)
        finally:
            on_stop()
            self._stop()

    def _start(self) -> None:
        for child in self._children.values():
            child.start(self._clock())
        deadline = self._clock() + START_SECONDS
        while not self._request.is_made:
            waiting = [child for child in self._children.values() if not self._has_started(child)]
            if not waiting:
                return
            if self._clock() > deadline:
                raise _failure(waiting[0], f"was not ready after {START_SECONDS:.0f} s")
            time.sleep(_TICK_SECONDS)

    def _has_started(self, child: Child) -> bool:
        if child.is_ready:
            return True
        code = child.ended()
        if code is None:
            child.is_ready = not child.program.once and child.program.is_ready()
        elif code == 0 and child.program.once:
            child.is_ready = True
        else:
            raise _failure(child, how_it_ended(code))
        return child.is_ready

    def _watch(self) -> None:
        self._guard.keep_alive()
        self._end_frozen()
        for child in self._lasting:
            code = child.ended()
            if code is not None:
                self._plan_restart(child, code, how_it_ended(code))
            if child.restart_at is not None:
                if self._clock() >= child.restart_at:
                    self._restart(child)
            elif not child.is_ready and child.program.is_ready():
                child.is_ready = True
                self._notices.tell(child.name, "is ready again")

    def _end_frozen(self) -> None:
        for process_id in self._silence.frozen():
            with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                group = os.getpgid(process_id)
                for child in self._lasting:
                    if child.pid == group:
                        self._notices.tell(child.name, f"gave no sign of life for {LIMIT_SECONDS:.0f} s and is killed")
                        child.kill()

    def _plan_restart(self, child: Child, code: int, what: str) -> None:
        now = self._clock()
        pause = child.restarts.pause_seconds(code, now - child.started_at)
        child.restart_at = now + pause
        when = f"restart in {pause:.0f} s" if pause else "restarted"
        self._notices.tell(child.name, what, f": {when}, log in {child.log}")

    def _restart(self, child: Child) -> None:
        try:
            child.start(self._clock())
        except OSError as error:  # no memory, no process left, no place for the log
            self._plan_restart(child, 1, f"cannot be started ({error.strerror})")
        else:
            self._on_change()

    def _stop(self) -> None:
        started = self._clock()
        for child in self._lasting:
            child.terminate()
            self._wait_for(child)
        # A program that runs once may still be at it when a stop comes early.
        for child in self._children.values():
            child.kill()
            self._wait_for(child)
        self._guard.close()
        self._say(f"stopped in {self._clock() - started:.1f} s")

    def _wait_for(self, child: Child) -> None:
        deadline = self._clock() + child.program.stop_seconds
        while self._clock() < deadline and not self._request.is_urgent:
            if child.has_gone():
                return
            time.sleep(_TICK_SECONDS / 5)
        if not self._request.is_urgent:
            self._say(f"{child.name} did not stop within {child.program.stop_seconds:.0f} s and is killed")
        child.kill()
        deadline = self._clock() + _KILL_SECONDS
        while not child.has_gone() and self._clock() < deadline:
            time.sleep(_TICK_SECONDS / 5)


def _failure(child: Child, what: str) -> StackError:
    lines = "\n".join(f"  {line}" for line in child.last_lines())
    return StackError(f"{child.name} {what}. The end of {child.log}:\n{lines}")
