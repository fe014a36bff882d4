"""Alerts on queues and on those who work them off. A paused queue raises one only: that it is paused."""

from __future__ import annotations

from alerting.rules.rule import AlertRule
from app.domain.alerts import (
    NO_WORKERS,
    QUEUE_BACKED_UP,
    QUEUE_DRAINS_SLOWLY,
    QUEUE_PAUSED,
    QUEUE_STALLED,
    WORKERS_SATURATED,
)
from app.domain.controls import Mode
from app.domain.dashboards import Dashboard
from app.domain.jobs import QUEUES, JobKind
from app.domain.objectives import BUSY_RATIO, DRAIN_SECONDS, OLDEST_SECONDS, QUEUE_DEPTH
from app.domain.processes import ProcessRole
from app.metrics import ACTIVE_MODE, JOB_DURATION, PROCESSES, QUEUE_OLDEST, QUEUE_PENDING
from app.metrics import QUEUE_PAUSED as PAUSED
from app.promql import increase, level, select, sum_by
from app.recorded_series import BUSY_THREADS, DRAIN_TIME

_QUEUE = ("environment", "queue")

_UNLESS_PAUSED = f"unless on (environment, queue) {level(PAUSED, _QUEUE)} == 1"
_WORKERS = f"{level(PROCESSES, role=ProcessRole.WORKER)} > 0"
_BACKED_UP = f"{level(QUEUE_PENDING, _QUEUE)} > {QUEUE_DEPTH}"
_OLD = f"{level(QUEUE_OLDEST, _QUEUE)} > {OLDEST_SECONDS}"

#: A queue that does not move ends nothing in this time. An attempt at an analysis may take 120 s
#: (`analysis_attempt_seconds`), so only three minutes without an end tell something; one at a Phase 1 job takes 10 s.
_STILL = {JobKind.ANALYSIS: "3m", JobKind.PHASE1: "1m"}


def _stalled(kind: JobKind) -> str:
    ended = sum_by(["environment"], increase(JOB_DURATION, _STILL[kind], "_count", kind=kind))
    return "\n".join(
        (
            f"{level(QUEUE_OLDEST, _QUEUE, queue=QUEUES[kind])} > 0",
            _UNLESS_PAUSED,
            f"and on (environment) {_WORKERS}",
            f"and on (environment) {ended} == 0",
        )
    )


QUEUE_RULES = (
    AlertRule(
        QUEUE_BACKED_UP,
        f"{_BACKED_UP}\nand on (environment, queue) {_OLD}\n{_UNLESS_PAUSED}",
        threshold=f"more than {QUEUE_DEPTH} jobs wait, the oldest due one for over {OLDEST_SECONDS:g} s",
        summary="Queue {{ $labels.queue }} is backed up: {{ $value }} jobs wait",
        description=f"More than {QUEUE_DEPTH} jobs wait in {{{{ $labels.queue }}}} of {{{{ $labels.environment }}}},"
        f" and the oldest of those that could start has waited for more than {OLDEST_SECONDS:g} s.",
        dashboard=Dashboard.QUEUE_AND_JOBS,
        for_seconds=30,
    ),
    AlertRule(
        QUEUE_DRAINS_SLOWLY,
        f"{select(DRAIN_TIME)} > {DRAIN_SECONDS}\n"
        f"and on (environment, queue) {_BACKED_UP}\nand on (environment, queue) {_OLD}\n{_UNLESS_PAUSED}",
        threshold=f"backed up, and at the present rates not empty within {DRAIN_SECONDS / 60:g} min",
        summary="Queue {{ $labels.queue }} does not get empty: {{ $value | humanizeDuration }} at the present rates",
        description="Queue {{ $labels.queue }} of {{ $labels.environment }} is backed up, and jobs come nearly as fast"
        f" as they end, or faster. Emptying it would take more than {DRAIN_SECONDS / 60:g} minutes; +Inf means that it"
        " grows.",
        dashboard=Dashboard.QUEUE_AND_JOBS,
        # A burst of approvals outruns any set of workers for a while, and that is no reason to wake anybody.
        for_seconds=120,
    ),
    AlertRule(
        QUEUE_STALLED,
        "\nor\n".join(_stalled(kind) for kind in QUEUES),
        threshold="a job could start, workers are there, and no attempt ended for 1 min (analyses: 3 min)",
        summary="Queue {{ $labels.queue }} stands still: a job has been due for {{ $value | humanizeDuration }}",
        description="Jobs of {{ $labels.queue }} in {{ $labels.environment }} could start and workers show that they"
        " live, but no attempt has ended for minutes.",
        dashboard=Dashboard.QUEUE_AND_JOBS,
        for_seconds=30,
    ),
    AlertRule(
        QUEUE_PAUSED,
        f"{level(QUEUE_PENDING, _QUEUE)} > 0\nand on (environment, queue) {level(PAUSED, _QUEUE)} == 1",
        threshold="paused or drained for 15 min while jobs wait",
        summary="Queue {{ $labels.queue }} is paused, and {{ $value }} jobs wait",
        description="Somebody has paused or drained {{ $labels.queue }} of {{ $labels.environment }}; its jobs wait"
        " until it is resumed.",
        dashboard=Dashboard.QUEUE_AND_JOBS,
        for_seconds=900,
    ),
    AlertRule(
        NO_WORKERS,
        f"{level(QUEUE_OLDEST, _QUEUE)} > 0\n{_UNLESS_PAUSED}\nunless on (environment) {_WORKERS}\n"
        f"and on (environment) {level(ACTIVE_MODE, mode=Mode.QUEUE)} == 1",
        threshold="a job could start, and no worker shows that it lives",
        summary="No worker lives, and jobs of {{ $labels.queue }} wait",
        description="No worker of {{ $labels.environment }} has shown lately that it lives. The oldest job of"
        " {{ $labels.queue }} has been due for {{ $value | humanizeDuration }}.",
        dashboard=Dashboard.QUEUE_AND_JOBS,
        for_seconds=15,
    ),
    AlertRule(
        WORKERS_SATURATED,
        f"{select(BUSY_THREADS)} > {BUSY_RATIO}",
        threshold=f"more than {BUSY_RATIO:.0%} of the threads busy for 5 min",
        summary="Workers are full: {{ $value | humanizePercentage }} of the threads for {{ $labels.kind }} are busy",
        description=f"More than {BUSY_RATIO:.0%} of the workers' threads for {{{{ $labels.kind }}}} jobs in"
        " {{ $labels.environment }} have been busy for 5 minutes; what comes now waits.",
        dashboard=Dashboard.QUEUE_AND_JOBS,
        for_seconds=300,
    ),
)
