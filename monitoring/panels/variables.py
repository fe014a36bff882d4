"""What a reader chooses at the top of a dashboard, and the addresses that links are made of."""

from __future__ import annotations

from typing import Any

from grafanalib.core import HIDE_VARIABLE, REFRESH_ON_TIME_RANGE_CHANGE, Template, Templating

from app.metrics import AGENT_CALLS, BUILD_INFO, QUEUE_PENDING
from app.promql import MATCHES, select
from app.settings.monitoring import MonitoringSettings
from monitoring.panels.targets import DATASOURCE

#: Any value, as a regular expression: a label that is missing does not match.
_ANY = ".+"
#: What Grafana calls the choice of all values.
ALL = "$__all"


def variables() -> Templating:
    """Return the variables of every dashboard, the same ones so that links between dashboards keep them."""
    settings = MonitoringSettings()
    chosen = f"{MATCHES}$environment"
    return Templating(
        [
            Template(name="datasource", label="Data source", type="datasource", query="prometheus"),
            _one("environment", "Environment", select(BUILD_INFO)),
            _several("queue", "Queue", select(QUEUE_PENDING, environment=chosen)),
            _several("agent", "Agent", select(AGENT_CALLS, environment=chosen)),
            _constant("runbooks", settings.runbook_url),
            _constant("api", settings.runbook_url.removesuffix("/runbooks") + "/api"),
        ]
    )


def _one(name: str, label: str, selector: str) -> Template:
    """Return a variable that takes one value of the label of its name."""
    return Template(**_of_label(name, label, selector))


def _several(name: str, label: str, selector: str) -> Template:
    """Return a variable that takes one value, several, or all, which is where it begins."""
    return Template(**_of_label(name, label, selector), multi=True, includeAll=True, allValue=_ANY, default=ALL)


def _of_label(name: str, label: str, selector: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "dataSource": DATASOURCE,
        "query": f"label_values({selector}, {name})",
        "refresh": REFRESH_ON_TIME_RANGE_CHANGE,
    }


def _constant(name: str, value: str) -> Template:
    """Return a variable that no reader sees; whoever imports the dashboard can give it another value."""
    return Template(name=name, type="constant", query=value, default=value, hide=HIDE_VARIABLE)
