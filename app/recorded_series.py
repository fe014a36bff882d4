"""The table of recorded series: what recording rules write, and dashboards and alerts read.

`monitoring.recording_rules` has the expression of each. Names follow `level:metric:operation`
(https://prometheus.io/docs/practices/rules/); each series keeps the label `environment`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.domain.jobs import QUEUES, JobKind
from app.domain.objectives import BURN_RATES, OBJECTIVES


@dataclass(frozen=True)
class RecordedSeries:
    """One recorded series: its name and every value that its labels can take, besides `environment`."""

    name: str
    help: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_SLO = {"slo": tuple(objective.name for objective in OBJECTIVES)}
_QUEUE = {"queue": tuple(QUEUES.values())}

#: Windows for which the share of bad events is recorded, the shortest first, in Prometheus' notation and in seconds.
ERROR_WINDOWS: Mapping[str, int] = {
    "5m": 300,
    "30m": 1800,
    "1h": 3600,
    "2h": 7200,
    "6h": 21600,
    "1d": 86400,
    "3d": 259200,
}


def fitting_windows(retention_hours: int) -> tuple[str, ...]:
    """Return the windows that are at most half as long as Prometheus keeps what it scraped.

    A longer one would be cut short without a word.

    Raises:
        ValueError: The retention is too short for the first pair of windows of burn rates: no objective would be
            watched.

    >>> fitting_windows(24)
    ('5m', '30m', '1h', '2h', '6h')
    """
    windows = tuple(window for window, seconds in ERROR_WINDOWS.items() if 2 * seconds <= retention_hours * 3600)
    if BURN_RATES[0].long not in windows:
        raise ValueError(f"no burn rate fits into {retention_hours} h of retention: keep 2 h at least")
    return windows


def error_ratio(window: str) -> RecordedSeries:
    """Return the series with the share of bad events, 0 to 1, within this window.

    Raises:
        KeyError: No such window is recorded.
    """
    return _ERROR_RATIOS[window]


_ERROR_RATIOS = {
    window: RecordedSeries(f"slo:error_ratio:rate{window}", f"Share of bad events within {window}, 0 to 1", _SLO)
    for window in ERROR_WINDOWS
}


def bad_events(window: str) -> RecordedSeries:
    """Return the series with the number of bad events within this window, as far as Prometheus can tell: no whole one.

    Raises:
        KeyError: No such window is recorded; only the long ones of burn rates are.
    """
    return _BAD_EVENTS[window]


_BAD_EVENTS = {
    burn.long: RecordedSeries(f"slo:bad_events:increase{burn.long}", f"Bad events within {burn.long}", _SLO)
    for burn in BURN_RATES
}
SLO_TARGET = RecordedSeries("slo:target:ratio", "Share of good events that is promised, 0 to 1", _SLO)
SLO_EVENTS = RecordedSeries("slo:events:rate5m", "Events that count, per second, within 5 minutes", _SLO)
#: A day, or the whole retention where that is shorter.
BUDGET_LEFT = RecordedSeries(
    "slo:budget_left:ratio", "Share of the error budget of the last day that is left; below 0 it is overspent", _SLO
)
ARRIVALS = RecordedSeries("queue:jobs_arrived:rate1m", "Jobs that came, per second", _QUEUE)
COMPLETIONS = RecordedSeries("queue:jobs_ended:rate1m", "Jobs that completed or failed for good, per second", _QUEUE)
DRAIN_TIME = RecordedSeries(
    "queue:drain_seconds:estimate",
    "Seconds until the queue is empty at the present rates; 0 when it is empty, +Inf when it grows",
    _QUEUE,
)
BUSY_THREADS = RecordedSeries(
    "kind:worker_threads_busy:ratio",
    "Share of the workers' threads in use, 0 to 1; absent while there is no worker",
    {"kind": tuple(JobKind)},
)

RECORDED: tuple[RecordedSeries, ...] = (
    *_ERROR_RATIOS.values(),
    *_BAD_EVENTS.values(),
    SLO_TARGET,
    SLO_EVENTS,
    BUDGET_LEFT,
    ARRIVALS,
    COMPLETIONS,
    DRAIN_TIME,
    BUSY_THREADS,
)

#: Written by Prometheus itself for every target; ours have the label `environment`.
UP = RecordedSeries("up", "1 when the last scrape of the target worked, else 0")
