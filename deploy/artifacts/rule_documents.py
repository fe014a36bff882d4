"""The files of Prometheus and Alertmanager, for given settings; the committed ones are for the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from alerting.alertmanager import RELAY_URL, alertmanager_file
from alerting.rules.groups import alert_groups, alert_rules
from alerting.rules.rule import AlertRule
from app.rule_files import RuleGroup, rule_file
from app.settings.monitoring import MonitoringSettings
from monitoring.recording_rules import recording_groups

RECORDING_FILE = "recording.rules.yml"
ALERT_FILE = "alerts.rules.yml"
ALERTMANAGER_FILE = "alertmanager.yml"

#: As if nothing were set; no environment is read.
DEFAULTS = MonitoringSettings()


def rule_groups(settings: MonitoringSettings) -> tuple[RuleGroup, ...]:
    """Return all groups, recording rules first.

    Raises:
        ValueError: No burn rate fits the retention.
    """
    recording = recording_groups(settings)
    return (*recording, *alert_groups(settings, _expressions(recording)))


def rules_by_family(settings: MonitoringSettings) -> Mapping[str, tuple[AlertRule, ...]]:
    """Return the alert rules of each family."""
    return alert_rules(settings, _expressions(recording_groups(settings)))


def recording_document(settings: MonitoringSettings = DEFAULTS) -> str:
    """Return the text of the file with the recording rules."""
    return rule_file(recording_groups(settings))


def alert_document(settings: MonitoringSettings = DEFAULTS) -> str:
    """Return the text of the file with the alert rules."""
    return rule_file(alert_groups(settings, _expressions(recording_groups(settings))))


def documents(
    settings: MonitoringSettings, relay_url: str | None = RELAY_URL, relay_token_file: Path | None = None
) -> Mapping[str, str]:
    """Return the name and the text of each file that a Prometheus and its Alertmanager need of us.

    The last two arguments are those of `alertmanager_file`.

    Raises:
        ValueError: No burn rate fits the retention.
    """
    return {
        RECORDING_FILE: recording_document(settings),
        ALERT_FILE: alert_document(settings),
        ALERTMANAGER_FILE: alertmanager_file(relay_url, relay_token_file, settings),
    }


def _expressions(groups: tuple[RuleGroup, ...]) -> list[str]:
    return [str(rule["expr"]) for group in groups for rule in group.rules]
