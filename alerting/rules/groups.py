"""Every alert rule, as groups for a rule file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from alerting.rules.circuits import CIRCUIT_RULES
from alerting.rules.dependencies import DEPENDENCY_RULES
from alerting.rules.jobs import JOB_RULES
from alerting.rules.monitoring import monitoring_rules
from alerting.rules.objectives import objective_rules
from alerting.rules.queue import QUEUE_RULES
from alerting.rules.relay import RELAY_RULES
from alerting.rules.rule import AlertRule
from app.rule_files import RuleGroup
from app.settings.monitoring import MonitoringSettings


def alert_rules(settings: MonitoringSettings, recorded: Iterable[str]) -> Mapping[str, tuple[AlertRule, ...]]:
    """Return the rules of each family that fit the retention.

    `recorded` are the expressions of the recording rules: what they read must not be missing either.

    Raises:
        ValueError: No burn rate fits the retention.
    """
    families = {
        "queue": QUEUE_RULES,
        "jobs": JOB_RULES,
        "circuits": CIRCUIT_RULES,
        "dependencies": DEPENDENCY_RULES,
        "objectives": objective_rules(settings.retention_hours),
        "relay": RELAY_RULES,
    }
    read = [*recorded, *(rule.expr for rules in families.values() for rule in rules)]
    return families | {"monitoring": monitoring_rules(settings.environment, read)}


def alert_groups(settings: MonitoringSettings, recorded: Iterable[str]) -> tuple[RuleGroup, ...]:
    """Return the same as groups of a rule file."""
    return tuple(
        RuleGroup(
            f"marketplace-alerts-{family}", settings.scrape_seconds, tuple(rule.document(settings) for rule in rules)
        )
        for family, rules in alert_rules(settings, recorded).items()
    )
