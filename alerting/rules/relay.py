"""Alerts on the relay itself; they go a second way too, past it."""

from __future__ import annotations

from alerting.rules.rule import AlertRule
from app.domain.alerts import RELAY_BACKLOG, RELAY_DEGRADED
from app.domain.dashboards import Dashboard
from app.domain.objectives import MESSAGE_SECONDS, MESSAGES_WAITING, NOTICE_SECONDS
from app.metrics import NOTICES_OLDEST, RELAY_OLDEST, RELAY_REFUSED, RELAY_SLACK_UP, RELAY_WAITING
from app.promql import increase, labelled, level, max_by, select, sum_by

_HERE = ("environment",)

#: A wrong token or secret is no problem of its own, for anybody may show one: Watchdog, or a notice, does not arrive.
_PROBLEMS = {
    "slack": f"min by (environment) ({select(RELAY_SLACK_UP)}) == 0",
    "file": f"{sum_by(_HERE, increase(RELAY_REFUSED, '5m', reason='unavailable'))} > 0",
    "notices": f"{level(NOTICES_OLDEST)} > {NOTICE_SECONDS:g}",
}


RELAY_RULES = (
    AlertRule(
        RELAY_DEGRADED,
        "\nor ".join(labelled(expr, "problem", problem) for problem, expr in _PROBLEMS.items()),
        threshold="for 2 min, Slack does not take messages, the relay cannot write to its file, or a notice waits for"
        f" more than {NOTICE_SECONDS:g} s",
        summary="Alerts do not get through: {{ $labels.problem }}",
        description="The relay of {{ $labels.environment }} does not do its work (problem {{ $labels.problem }}). Look"
        " at the alerts themselves until it does.",
        dashboard=Dashboard.ALERT_PIPELINE,
        for_seconds=120,
    ),
    AlertRule(
        RELAY_BACKLOG,
        f"{max_by(_HERE, select(RELAY_OLDEST))} > {MESSAGE_SECONDS:g}\n"
        f"or {max_by(_HERE, select(RELAY_WAITING))} > {MESSAGES_WAITING}",
        threshold=f"the oldest message waits for more than {MESSAGE_SECONDS:g} s, or more than {MESSAGES_WAITING} wait",
        summary="Messages wait for Slack",
        description="What the relay of {{ $labels.environment }} has to tell waits for Slack: messages come late.",
        dashboard=Dashboard.ALERT_PIPELINE,
        for_seconds=60,
    ),
)
