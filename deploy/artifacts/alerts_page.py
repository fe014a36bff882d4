"""docs/reference/alerts.md, from the catalogue and the alert rules."""

from __future__ import annotations

from collections.abc import Iterable

from alerting.inhibitions import INHIBITIONS
from alerting.rules.rule import AlertRule
from app.domain.alerts import ALERTS, Alert
from app.rule_files import duration
from app.settings.monitoring import MonitoringSettings
from deploy.artifacts.markdown import code, page, table
from deploy.artifacts.rule_documents import rules_by_family

#: Long enough for every rule, so that the page has all of them.
_ALL = MonitoringSettings(retention_hours=168)

_INTRODUCTION = """\
Each alert has a [runbook](../runbooks/README.md) of its name.
Where the numbers come from: [objectives](../decisions/objectives.md), [thresholds](../decisions/alert-thresholds.md).
*For* is how long the condition must hold before the alert fires; *keeps* is how long it fires on afterwards.
Every alert carries `environment`, `severity` and `type`; *issue* names the labels that tell one from another.
`marketplace rules show` prints the rules for the present settings.
Those with windows longer than half of the retention are left out; here are all."""

_INHIBITIONS = """\
## Consequences

While the alert on the left fires, those on the right are not sent for the same environment: they follow from it."""


def alerts_page() -> str:
    """Return the page."""
    families = rules_by_family(_ALL)
    rules = [rule for family in families.values() for rule in family]
    return page(
        "Alerts",
        _INTRODUCTION,
        table(
            ["Alert", "Severity", "Type", "Fires at", "For", "Keeps", "Issue", "Dashboard"],
            [_row(alert, _of(alert, rules)[0]) for alert in ALERTS],
        ),
        "## Expressions",
        *(_expression(alert, _of(alert, rules)) for alert in ALERTS),
        _INHIBITIONS,
        table(
            ["Fires", "Not sent"],
            [
                [
                    " of ".join(code(text) for text in (inhibition.source.name, *inhibition.where)),
                    ", ".join(code(target.name) for target in inhibition.targets),
                ]
                for inhibition in INHIBITIONS
            ],
        ),
    )


def _of(alert: Alert, rules: Iterable[AlertRule]) -> list[AlertRule]:
    return [rule for rule in rules if rule.alert == alert]


def _row(alert: Alert, rule: AlertRule) -> list[str]:
    return [
        f"[{alert.name}](../runbooks/{alert.name}.md)",
        alert.severity.value,
        code(alert.type.value),
        rule.threshold,
        duration(rule.for_seconds),
        duration(rule.keep_firing_seconds),
        ", ".join(map(code, rule.alert.subject)),
        code(rule.dashboard.value),
    ]


def _expression(alert: Alert, rules: list[AlertRule]) -> str:
    more = f"\n\nThe same for each of {len(rules)} metrics; this is the second." if len(rules) > 1 else ""
    expr = rules[min(1, len(rules) - 1)].expr
    return f"### {alert.name}\n\n```promql\n{expr}\n```{more}"
