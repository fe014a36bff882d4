"""Signals: what the relay is told, by Alertmanager or by the pipeline, in one form; and which issue each belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.domain.alerts import ALERTS, MONITORING_BLIND, Alert, AlertType, Severity

#: By name.
CATALOGUE: Mapping[str, Alert] = {alert.name: alert for alert in (*ALERTS, MONITORING_BLIND)}

#: Labels that say how bad and of which kind an alert is, not what it is about.
_NOT_SUBJECT = frozenset({"alertname", "severity", "type", "environment"})


class Path(StrEnum):
    """How a signal came."""

    ALERTMANAGER = "alertmanager"
    PIPELINE = "pipeline"
    OWN = "own"
    """The relay noticed it itself."""


@dataclass(frozen=True)
class Signal:
    """One alert that began or ended. All texts are untrusted."""

    path: Path
    #: What a repetition of the same signal has, too; of an alert: its labels and when it began.
    id: str
    #: Which of the alerts of an issue this is: of Alertmanager, its fingerprint.
    fingerprint: str
    alert: str
    type: AlertType
    severity: Severity
    firing: bool
    #: When it began, or when it ended; aware.
    at: datetime
    environment: str
    subject: Mapping[str, str]
    summary: str
    description: str = ""
    runbook_url: str | None = None
    dashboard_url: str | None = None
    plan_id: UUID | None = None
    job_id: UUID | None = None
    agent: str | None = None
    error_code: str | None = None
    error: str | None = None
    action: str | None = None
    #: All labels of an alert, for a silence of just this one.
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def issue(self) -> str:
        """The key that every signal on the same cause has."""
        return issue_key(self.alert, self.environment, self.subject)


def issue_key(alert: str, environment: str, subject: Mapping[str, str]) -> str:
    """Return the key of the issue: of the alerts on one cause it is the same.

    >>> issue_key("MarketplaceCircuitOpened", "local", {"agent": "kaway"})
    'MarketplaceCircuitOpened/local/agent=kaway'
    >>> issue_key("MarketplaceQueueStalled", "local", {"queue": "analysis"})
    'MarketplaceQueueBehind/local/queue=analysis'
    """
    entry = CATALOGUE.get(alert)
    name = entry.issue or entry.name if entry else alert
    return "/".join([name, environment, *(f"{label}={subject[label]}" for label in sorted(subject))])


def subject_of(alert: str, labels: Mapping[str, str]) -> dict[str, str]:
    """Return those labels of an alert that say what it is about; of an alert that we do not know, all that may."""
    entry = CATALOGUE.get(alert)
    if entry is None:
        return {name: value for name, value in labels.items() if name not in _NOT_SUBJECT}
    return {name: labels[name] for name in entry.subject if name in labels}
