"""The progress of a drain on standard error: a bar for each queue on a terminal, else a line when something changes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from app.cli.draining import Queues, told
from app.cli.output import say

#: Pause between two lines, in seconds.
_LINE_SECONDS = 2.0


@contextmanager
def drain_progress() -> Iterator[Callable[[Queues], None]]:
    """Yield what shows the queues each time that they are seen."""
    if not sys.stderr.isatty():
        yield _Lines().show
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True, highlight=False)) as progress:
        yield _Bars(progress).show


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._totals: dict[str, int] = {}

    def show(self, queues: Queues) -> None:
        for queue in queues:
            name, left = queue["queue"], queue["left"] or 0
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task("", total=None)
            total = self._totals[name] = max(self._totals.get(name, 0), left)
            self._progress.update(self._tasks[name], description=told(queue), total=total, completed=total - left)


class _Lines:
    def __init__(self) -> None:
        self._told: list[str] = []
        self._told_at = float("-inf")

    def show(self, queues: Queues) -> None:
        now = [told(queue) for queue in queues]
        if now == self._told or time.monotonic() - self._told_at < _LINE_SECONDS:
            return
        self._told, self._told_at = now, time.monotonic()
        say("; ".join(now))
