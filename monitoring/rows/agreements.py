"""What was kept of the promises over 24 hours, 7 days and 30 days."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from grafanalib.core import Panel

from app.domain import alerts
from app.domain.alerts import Alert
from app.domain.jobs import JobKind
from app.domain.objectives import AVAILABILITY, JOB_LATENCY_SECONDS, JOB_SUCCESS, Objective
from app.domain.objectives import JOB_LATENCY as LATENCY_OBJECTIVE
from app.domain.objectives import QUEUE_DEPTH as DEPTH_LIMIT
from app.metrics import DEPTH_AT_ENQUEUE, HTTP_DURATION, JOB_LATENCY, JOB_RETRIES
from app.promql import edge
from monitoring.panels.colours import good_from
from monitoring.panels.figures import stat
from monitoring.panels.grid import Row
from monitoring.panels.scoped import grown, ratio
from monitoring.panels.targets import now

#: Spans of an agreement; Prometheus tells of no more than it keeps.
_SPANS = ("24h", "7d", "30d")
_SHORTER = "Prometheus tells of no more than it keeps, 24 hours by default; the jobs table has the rest."


def agreements() -> Row:
    """Return the row."""
    return Row(
        "Kept over 24 hours, 7 days and 30 days",
        (
            _kept(
                "Jobs that completed",
                f"Share of the ended jobs. Promised: {JOB_SUCCESS.target:.0%}.",
                _completed,
                JOB_SUCCESS,
                [alerts.JOB_SUCCESS_BURN_FAST, alerts.JOB_SUCCESS_BURN_SLOW],
            ),
            _kept(
                f"Jobs done within {JOB_LATENCY_SECONDS:g} s",
                f"Share of the completed Phase 1 jobs. Promised: {LATENCY_OBJECTIVE.target:.0%}.",
                _in_time,
                LATENCY_OBJECTIVE,
                [alerts.JOB_LATENCY_BURN_FAST, alerts.JOB_LATENCY_BURN_SLOW],
            ),
            _kept(
                "Requests answered without an error of ours",
                f"Share of the requests not answered with 5xx. Promised: {AVAILABILITY.target:.1%}.",
                _answered,
                AVAILABILITY,
                [alerts.AVAILABILITY_BURN_FAST, alerts.AVAILABILITY_BURN_SLOW],
            ),
            _kept(
                f"Jobs that found at most {DEPTH_LIMIT} waiting",
                "Share of the new jobs, so that peaks between two scrapes count.",
                _shallow,
                LATENCY_OBJECTIVE,
                [alerts.QUEUE_BACKED_UP],
            ),
        ),
    )


def _kept(
    title: str, description: str, share: Callable[[str], str], objective: Objective, explained: Sequence[Alert]
) -> Panel:
    return stat(
        title,
        f"{description} {_SHORTER}",
        *(now(share(span), span) for span in _SPANS),
        unit="percentunit",
        steps=good_from(objective.target),
        show="value_and_name",
        decimals=2,
        alerts=explained,
        width=12,
    )


def _completed(span: str) -> str:
    good = grown((), JOB_RETRIES, "_count", window=span, outcome="completed")
    return ratio(good, grown((), JOB_RETRIES, "_count", window=span))


def _in_time(span: str) -> str:
    in_time = edge(JOB_LATENCY, JOB_LATENCY_SECONDS)
    good = grown((), JOB_LATENCY, "_bucket", window=span, kind=JobKind.PHASE1, le=in_time)
    return ratio(good, grown((), JOB_LATENCY, "_count", window=span, kind=JobKind.PHASE1))


def _answered(span: str) -> str:
    failed = grown((), HTTP_DURATION, "_count", window=span, status="5xx")
    return f"1 - {ratio(failed, grown((), HTTP_DURATION, '_count', window=span))}"


def _shallow(span: str) -> str:
    good = grown((), DEPTH_AT_ENQUEUE, "_bucket", window=span, le=edge(DEPTH_AT_ENQUEUE, DEPTH_LIMIT))
    return ratio(good, grown((), DEPTH_AT_ENQUEUE, "_count", window=span))
