"""The intake: what came over HTTP, or from the relay itself, is decided and on the disk before anybody is answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from alerting.committer import Committer
from alerting.issues.decisions import MOST_TOGETHER, Decided, Decisions
from alerting.issues.rows import open_issues
from alerting.signals import Signal
from app.live_metrics import LiveMetrics
from app.metrics import RELAY_COMMIT, RELAY_OPEN_ISSUES, RELAY_SIGNALS, RELAY_SUPPRESSED


class Intake:
    """Takes signals and lets time pass; safe to use from many threads.

    `on_commit` is called when there may be new messages; `clock` tells seconds since 1970.
    """

    def __init__(
        self,
        committer: Committer,
        decisions: Decisions,
        metrics: LiveMetrics,
        *,
        on_commit: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._committer = committer
        self._on_commit = on_commit
        self._decisions = decisions
        self._metrics = metrics
        self._clock = clock

    def take(self, signals: Sequence[Signal]) -> list[Decided]:
        """Return what became of the signals, once that is on the disk.

        Raises:
            DatabaseUnavailableError: Not all can be written: the sender has to come again, and those that were repeat.
        """
        decided = []
        for first in range(0, len(signals), MOST_TOGETHER):
            decided += self._take(signals[first : first + MOST_TOGETHER])
        return decided

    def begin(self) -> None:
        """Look at all issues again, after a start.

        Raises:
            DatabaseUnavailableError: The file cannot be written to.
        """
        self._committer.commit(self._decisions.begin)

    def tick(self) -> None:
        """Let time pass for all issues that are due.

        Raises:
            DatabaseUnavailableError: The file cannot be written to; the next tick does what is left.
        """
        while True:
            decided = self._committer.commit(lambda connection: self._decisions.tick(connection, self._clock()))
            self._count_suppressed(decided)
            if decided:
                self._on_commit()
            if len(decided) < MOST_TOGETHER:
                break
        for severity, count in self._committer.commit(open_issues).items():
            self._metrics.set(RELAY_OPEN_ISSUES, count, severity=severity)

    def check(self) -> None:
        """Find out whether the file can be written to.

        Raises:
            DatabaseUnavailableError: It cannot.
        """
        self._committer.commit(lambda _: None)

    def _take(self, signals: Sequence[Signal]) -> list[Decided]:
        began_at = time.monotonic()
        decided = self._committer.commit(lambda connection: self._decisions.hear(connection, signals, self._clock()))
        self._on_commit()
        self._metrics.observe(RELAY_COMMIT, time.monotonic() - began_at)
        for one in decided:
            self._metrics.count(RELAY_SIGNALS, path=one.path, outcome=one.outcome)
        self._count_suppressed(decided)
        return decided

    def _count_suppressed(self, decided: Sequence[Decided]) -> None:
        for one in decided:
            if one.is_suppressed:
                self._metrics.count(RELAY_SUPPRESSED, type=one.type)
