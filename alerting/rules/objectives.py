"""Alerts on error budgets that are used up too fast: one for each objective and burn rate whose windows fit."""

from __future__ import annotations

from collections.abc import Mapping

from alerting.rules.rule import AlertRule
from app.domain.alerts import (
    AVAILABILITY_BURN_DAY,
    AVAILABILITY_BURN_FAST,
    AVAILABILITY_BURN_SLOW,
    AVAILABILITY_BURN_THREE_DAYS,
    JOB_LATENCY_BURN_DAY,
    JOB_LATENCY_BURN_FAST,
    JOB_LATENCY_BURN_SLOW,
    JOB_LATENCY_BURN_THREE_DAYS,
    JOB_SUCCESS_BURN_DAY,
    JOB_SUCCESS_BURN_FAST,
    JOB_SUCCESS_BURN_SLOW,
    JOB_SUCCESS_BURN_THREE_DAYS,
    Alert,
)
from app.domain.dashboards import Dashboard
from app.domain.objectives import (
    AVAILABILITY,
    BURN_RATES,
    JOB_LATENCY,
    JOB_SUCCESS,
    LEAST_BAD_EVENTS,
    BurnRate,
    Objective,
)
from app.promql import select
from app.recorded_series import bad_events, error_ratio, fitting_windows

#: Alerts of each objective, in the order of `BURN_RATES`.
_ALERTS: Mapping[Objective, tuple[Alert, ...]] = {
    JOB_SUCCESS: (
        JOB_SUCCESS_BURN_FAST,
        JOB_SUCCESS_BURN_SLOW,
        JOB_SUCCESS_BURN_DAY,
        JOB_SUCCESS_BURN_THREE_DAYS,
    ),
    JOB_LATENCY: (
        JOB_LATENCY_BURN_FAST,
        JOB_LATENCY_BURN_SLOW,
        JOB_LATENCY_BURN_DAY,
        JOB_LATENCY_BURN_THREE_DAYS,
    ),
    AVAILABILITY: (
        AVAILABILITY_BURN_FAST,
        AVAILABILITY_BURN_SLOW,
        AVAILABILITY_BURN_DAY,
        AVAILABILITY_BURN_THREE_DAYS,
    ),
}

_BAD: Mapping[Objective, str] = {
    JOB_SUCCESS: "of the jobs that ended failed for good",
    JOB_LATENCY: "of the completed Phase 1 jobs took more than 5 s",
    AVAILABILITY: "of the requests were answered with an error of ours",
}


def objective_rules(retention_hours: int) -> tuple[AlertRule, ...]:
    """Return the rules whose windows are at most half of the retention.

    Raises:
        ValueError: None is, so that no objective would be watched.
    """
    windows = fitting_windows(retention_hours)
    return tuple(
        _rule(objective, burn, alert)
        for objective, alerts in _ALERTS.items()
        for burn, alert in zip(BURN_RATES, alerts, strict=True)
        if burn.long in windows
    )


def _rule(objective: Objective, burn: BurnRate, alert: Alert) -> AlertRule:
    limit = f"{burn.factor:g} * (1 - {objective.target})"
    slo = objective.name
    return AlertRule(
        alert,
        f"{select(error_ratio(burn.long), slo=slo)} > {limit}\n"
        f"and {select(error_ratio(burn.short), slo=slo)} > {limit}\n"
        # Half an event below: the growth within a window is estimated, and no whole number.
        f"and {select(bad_events(burn.long), slo=slo)} > {LEAST_BAD_EVENTS - 0.5}",
        threshold=f"more than {burn.factor * objective.budget:.2%} bad within {burn.long} and within {burn.short},"
        f" and {LEAST_BAD_EVENTS} bad events at least",
        summary=f"{objective.title}: {{{{ $value | humanizePercentage }}}} missed within {burn.long}",
        description=f"{{{{ $value | humanizePercentage }}}} {_BAD[objective]} within {burn.long} in"
        f" {{{{ $labels.environment }}}}, {burn.factor:g} times as many as the objective of {objective.target:.1%}"
        " allows, or more.",
        dashboard=Dashboard.SLO_AND_SLA,
        keep_firing_seconds=120,
    )
