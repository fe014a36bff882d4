"""The expression of every recorded series, for the retention that Prometheus has.

What each objective counts, and why: docs/decisions/objectives.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from app.domain.jobs import QUEUES, JobKind
from app.domain.objectives import AVAILABILITY, BURN_RATES, JOB_LATENCY, JOB_LATENCY_SECONDS, JOB_SUCCESS, Objective
from app.domain.processes import ProcessRole
from app.metrics import (
    BUILD_INFO,
    HTTP_DURATION,
    JOB_RETRIES,
    JOBS_ENQUEUED,
    QUEUE_ACTIVE,
    QUEUE_PENDING,
    WORKER_THREADS,
)
from app.metrics import JOB_LATENCY as COMPLETION
from app.promql import edge, increase, level, max_by, rate, select, sum_by
from app.recorded_series import (
    ARRIVALS,
    BUDGET_LEFT,
    BUSY_THREADS,
    COMPLETIONS,
    DRAIN_TIME,
    ERROR_WINDOWS,
    SLO_EVENTS,
    SLO_TARGET,
    RecordedSeries,
    bad_events,
    error_ratio,
    fitting_windows,
)
from app.rule_files import RuleGroup
from app.settings.monitoring import MonitoringSettings

_HERE = ("environment",)
_QUEUE = ("environment", "queue")

#: Seconds. Windows of up to an hour are read every time, longer ones once a minute: they change slowly and cost more.
_SHORT_WINDOW = 3600
_LONG_INTERVAL = 60

#: Hours of the budget that `BUDGET_LEFT` tells.
_BUDGET_HOURS = 24

_Growth = Callable[..., str]


@dataclass(frozen=True)
class RecordingRule:
    """How one recorded series is made; the labels are those that the expression does not have."""

    series: RecordedSeries
    expr: str
    labels: Mapping[str, str]

    def document(self) -> dict[str, object]:
        """Return the rule as its file has it."""
        labels = {"labels": dict(self.labels)} if self.labels else {}
        return {"record": self.series.name, "expr": self.expr, **labels}


def recording_groups(settings: MonitoringSettings) -> tuple[RuleGroup, ...]:
    """Return every recording rule whose window fits the retention.

    Raises:
        ValueError: No burn rate fits.
    """
    windows = fitting_windows(settings.retention_hours)
    short = [window for window in windows if ERROR_WINDOWS[window] <= _SHORT_WINDOW]
    long = [window for window in windows if ERROR_WINDOWS[window] > _SHORT_WINDOW]
    often, seldom = settings.scrape_seconds, max(settings.scrape_seconds, _LONG_INTERVAL)
    return (
        _group("marketplace-queues", often, _queues()),
        _group("marketplace-objectives", often, (*_targets(), *_of_windows(short))),
        _group("marketplace-budgets", seldom, (*_of_windows(long), *_budgets(budget_hours(settings)))),
    )


def budget_hours(settings: MonitoringSettings) -> int:
    """Return how many hours back `BUDGET_LEFT` looks."""
    return min(_BUDGET_HOURS, settings.retention_hours)


def _group(name: str, interval_seconds: int, rules: Iterator[RecordingRule] | tuple[RecordingRule, ...]) -> RuleGroup:
    return RuleGroup(name, interval_seconds, tuple(rule.document() for rule in rules))


def _queues() -> Iterator[RecordingRule]:
    """Yield a rule for each queue: counters have the kind of job as label, levels the queue."""
    for kind, queue in QUEUES.items():
        labels = {"queue": queue}
        yield RecordingRule(ARRIVALS, sum_by(_HERE, rate(JOBS_ENQUEUED, "1m", kind=kind)), labels)
        yield RecordingRule(COMPLETIONS, sum_by(_HERE, rate(JOB_RETRIES, "1m", "_count", kind=kind)), labels)
        yield RecordingRule(BUSY_THREADS, _busy(kind, queue), {"kind": kind.value})
    depth = level(QUEUE_PENDING, _QUEUE)
    shrinks_by = f"({select(COMPLETIONS)} - {select(ARRIVALS)})"
    # An empty queue is 0 whether it shrinks or not; one that is not, and does not shrink, is never empty.
    yield RecordingRule(DRAIN_TIME, f"{depth} / ({shrinks_by} > 0)\nor ({depth} > 0) * Inf\nor {depth}", {})


def _busy(kind: JobKind, queue: str) -> str:
    """Return the share of busy threads; jobs that run in place are active too, so it could pass 1."""
    threads = sum_by(_HERE, select(WORKER_THREADS, kind=kind, role=ProcessRole.WORKER))
    return f"clamp_max({level(QUEUE_ACTIVE, _HERE, queue=queue)} / ({threads} > 0), 1)"


def _targets() -> Iterator[RecordingRule]:
    for objective in _EVENTS:
        target = f"{max_by(_HERE, select(BUILD_INFO))} * {objective.target}"
        yield RecordingRule(SLO_TARGET, target, _slo(objective))
        yield RecordingRule(SLO_EVENTS, _EVENTS[objective](rate, "5m"), _slo(objective))


def _of_windows(windows: list[str]) -> Iterator[RecordingRule]:
    counted = {burn.long for burn in BURN_RATES}
    for window in windows:
        for objective in _EVENTS:
            yield RecordingRule(error_ratio(window), _share_of_bad(objective, window), _slo(objective))
            if window in counted:
                yield RecordingRule(bad_events(window), _BAD[objective](increase, window), _slo(objective))


def _budgets(hours: int) -> Iterator[RecordingRule]:
    for objective in _EVENTS:
        used = f"({_share_of_bad(objective, f'{hours}h')})\n/ (1 - {objective.target})"
        yield RecordingRule(BUDGET_LEFT, f"1 - {used}", _slo(objective))


def _slo(objective: Objective) -> dict[str, str]:
    return {"slo": objective.name}


def _share_of_bad(objective: Objective, window: str) -> str:
    """Return the share of bad events; 0 when there were none at all, so that no panel is empty."""
    events = _EVENTS[objective](rate, window)
    return f"({_BAD[objective](rate, window)}) / ({events} > 0)\nor {events} * 0"


def _ended(growth: _Growth, window: str) -> str:
    return sum_by(_HERE, growth(JOB_RETRIES, window, "_count"))


def _failed(growth: _Growth, window: str) -> str:
    return sum_by(_HERE, growth(JOB_RETRIES, window, "_count", outcome="failed"))


def _completed(growth: _Growth, window: str) -> str:
    return sum_by(_HERE, growth(COMPLETION, window, "_count", kind=JobKind.PHASE1))


def _late(growth: _Growth, window: str) -> str:
    bound = edge(COMPLETION, JOB_LATENCY_SECONDS)
    in_time = sum_by(_HERE, growth(COMPLETION, window, "_bucket", kind=JobKind.PHASE1, le=bound))
    return f"{_completed(growth, window)} - {in_time}"


def _answered(growth: _Growth, window: str) -> str:
    return sum_by(_HERE, growth(HTTP_DURATION, window, "_count"))


def _broken(growth: _Growth, window: str) -> str:
    return sum_by(_HERE, growth(HTTP_DURATION, window, "_count", status="5xx"))


_EVENTS: Mapping[Objective, Callable[[_Growth, str], str]] = {
    JOB_SUCCESS: _ended,
    JOB_LATENCY: _completed,
    AVAILABILITY: _answered,
}
_BAD: Mapping[Objective, Callable[[_Growth, str], str]] = {
    JOB_SUCCESS: _failed,
    JOB_LATENCY: _late,
    AVAILABILITY: _broken,
}
