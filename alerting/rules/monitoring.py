"""Alerts on the monitoring itself: without it, silence would look like health."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from alerting.rules.rule import AlertRule
from app.domain.alerts import METRICS_ABSENT, TARGET_DOWN, WATCHDOG
from app.domain.dashboards import Dashboard
from app.domain.observers import RELAY_JOB
from app.metrics import AGENTS, METRICS, Metric
from app.promql import named_metrics, select
from app.recorded_series import UP

#: Targets of ours, whatever else the same Prometheus scrapes.
_OURS = select(UP, environment="!=")

#: An installation may have no relay, and one that is not there is told of as a target.
_RELAYS = f"{select(UP, environment='!=', job=RELAY_JOB)} == 1"


def monitoring_rules(environment: str, expressions: Iterable[str]) -> tuple[AlertRule, ...]:
    """Return the rules that watch the targets, and every metric that one of these expressions reads."""
    return (
        AlertRule(
            TARGET_DOWN,
            f"{_OURS} == 0",
            threshold="not scraped for 1 min",
            summary="{{ $labels.job }} {{ $labels.instance }} is not there",
            description="Prometheus has got no metrics from {{ $labels.job }} {{ $labels.instance }} of"
            " {{ $labels.environment }} for a minute: the process is gone, hangs, or cannot be reached.",
            dashboard=Dashboard.ALERT_PIPELINE,
            for_seconds=60,
        ),
        *_absences(environment, required_metrics(expressions)),
        AlertRule(
            WATCHDOG,
            "vector(1)",
            threshold="always",
            summary="Alerts arrive",
            description="This alert always fires. Whoever misses it knows that no other one would come either.",
            dashboard=Dashboard.ALERT_PIPELINE,
            keep_firing_seconds=0,
            labels={"environment": environment},
        ),
    )


def required_metrics(expressions: Iterable[str]) -> tuple[Metric, ...]:
    """Return the metrics that these expressions read and that are always there.

    Those of agents are not: an installation may have none.
    """
    names = named_metrics(expressions)
    return tuple(metric for metric in METRICS if metric.name in names and AGENTS not in metric.labels.values())


def _absences(environment: str, required: Iterable[Metric]) -> Iterator[AlertRule]:
    """Yield a rule for each metric, and one for the case that nothing at all is scraped.

    `absent()` keeps no label; comparing with the targets tells in which environment a metric is missing.
    """
    yield _absence("up", f"absent({_OURS})", {"environment": environment})
    for metric in required:
        name = f"{metric.name}_count" if metric.kind == "histogram" else metric.name
        tellers = _RELAYS if metric.relay else _OURS
        yield _absence(name, f"group by (environment) ({tellers})\nunless group by (environment) ({name})", {})


def _absence(name: str, expr: str, labels: dict[str, str]) -> AlertRule:
    return AlertRule(
        METRICS_ABSENT,
        expr,
        threshold="a metric that rules read is missing for 1 min",
        summary="Metric {{ $labels.metric }} is missing",
        description="No process of {{ $labels.environment }} tells {{ $labels.metric }}: rules that read it are blind.",
        dashboard=Dashboard.ALERT_PIPELINE,
        for_seconds=60,
        labels={"metric": name, **labels},
    )
