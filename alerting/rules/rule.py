"""One alert rule: when an entry of the catalogue fires, and what it says then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.domain.alerts import Alert
from app.domain.dashboards import Dashboard
from app.rule_files import duration
from app.settings.monitoring import MonitoringSettings


@dataclass(frozen=True)
class AlertRule:
    """One rule. Its panels on `dashboard` are those that name the alert.

    `summary` and `description` are templates of Prometheus; the environment and the labels of the alert's subject, and
    no others, may stand in them.
    """

    alert: Alert
    expr: str
    #: The threshold in words, for the reference page.
    threshold: str
    summary: str
    description: str
    dashboard: Dashboard
    for_seconds: int = 0
    #: An alert goes on for so long after its cause has ended, so that one that comes and goes is one issue.
    keep_firing_seconds: int = 60
    #: Labels that the expression does not have.
    labels: Mapping[str, str] = field(default_factory=dict)

    def document(self, settings: MonitoringSettings) -> dict[str, object]:
        """Return the rule as its file has it."""
        times: dict[str, object] = {}
        if self.for_seconds:
            times["for"] = duration(self.for_seconds)
        if self.keep_firing_seconds:
            times["keep_firing_for"] = duration(self.keep_firing_seconds)
        return {
            "alert": self.alert.name,
            "expr": self.expr,
            **times,
            "labels": {"severity": self.alert.severity.value, "type": self.alert.type.value, **self.labels},
            "annotations": {
                "summary": self._filled(self.summary),
                "description": self._filled(self.description),
                "runbook_url": f"{settings.runbook_url}/{self.alert.name}",
                "dashboard_url": self._filled(self._dashboard_url(settings)),
            },
        }

    def _filled(self, template: str) -> str:
        """Return the template with the labels that only the rule has: templates know those of the expression alone."""
        for name, value in self.labels.items():
            template = template.replace(f"{{{{ $labels.{name} }}}}", value)
        return template

    def _dashboard_url(self, settings: MonitoringSettings) -> str:
        # A template of a rule does not know when the alert began; the last hour shows it as long as it is new.
        query = "var-environment={{ $labels.environment }}&from=now-1h&to=now"
        return f"{settings.grafana_url}/d/{self.dashboard}?{query}"
