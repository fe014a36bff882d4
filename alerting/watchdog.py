"""The dead-man's switch: when Watchdog is silent, no other alert would arrive either."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from alerting.issues.decisions import Decided
from alerting.signals import Path, Signal, issue_key
from app.domain.alerts import MONITORING_BLIND, WATCHDOG
from app.live_metrics import LiveMetrics
from app.metrics import RELAY_WATCHDOG_AGE

#: Seconds between two looks that count at most. While the machine sleeps, or this process is frozen, Watchdog cannot
#: come: that is not its silence.
_MOST_BETWEEN_LOOKS = 5.0


def blind_issue(environment: str) -> str:
    """Return the key of the issue that monitoring is blind."""
    return issue_key(MONITORING_BLIND.name, environment, {})


class DeadMansSwitch:
    """Tells that monitoring is blind, and that it sees again.

    The silence counts from the start of the process, whatever was before: after a restart, Alertmanager has to find
    this relay first. `monotonic` tells seconds.
    """

    def __init__(
        self,
        take: Callable[[Sequence[Signal]], Sequence[Decided]],
        metrics: LiveMetrics,
        *,
        limit_seconds: float,
        environment: str,
        is_blind: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to listen; `is_blind` is what was told before a restart."""
        self._take = take
        self._metrics = metrics
        self._limit_seconds = limit_seconds
        self._environment = environment
        self._monotonic = monotonic
        self._guard = threading.Lock()
        self._is_blind = is_blind
        self._was_seen = False
        self._silent_seconds = 0.0
        self._looked_at = monotonic()

    def see(self) -> None:
        """Note that Watchdog came; the next look tells that monitoring sees again."""
        with self._guard:
            self._was_seen = True
            self._silent_seconds = 0.0

    def look(self) -> None:
        """Tell when monitoring has become blind, or sees again; one thread only.

        Raises:
            DatabaseUnavailableError: It could not be told; the next look tells it.
        """
        with self._guard:
            now = self._monotonic()
            self._silent_seconds += min(now - self._looked_at, _MOST_BETWEEN_LOOKS)
            self._looked_at = now
            is_silent = self._silent_seconds >= self._limit_seconds
            sees = self._was_seen and not is_silent
            self._metrics.set(RELAY_WATCHDOG_AGE, self._silent_seconds)
        if is_silent and not self._is_blind:
            self._take([self._signal(firing=True)])
            self._is_blind = True
        elif sees and self._is_blind:
            self._take([self._signal(firing=False)])
            self._is_blind = False

    def _signal(self, *, firing: bool) -> Signal:
        return Signal(
            path=Path.OWN,
            id=str(uuid.uuid4()),
            fingerprint="",
            alert=MONITORING_BLIND.name,
            type=MONITORING_BLIND.type,
            severity=MONITORING_BLIND.severity,
            firing=firing,
            at=datetime.now(UTC),
            environment=self._environment,
            subject={},
            summary="Monitoring is blind: no alert would arrive" if firing else "Alerts arrive again",
            description=f"{WATCHDOG.name} always fires, and has not come for {self._limit_seconds:g} s: Prometheus or"
            " Alertmanager is gone, or cannot reach the relay."
            if firing
            else f"{WATCHDOG.name} has come.",
        )
