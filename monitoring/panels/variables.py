"""What a reader chooses at the top of a dashboard, and the addresses that links are made of."""

from __future__ import annotations

from typing import Any

from grafanalib.core import HIDE_VARIABLE, REFRESH_ON_TIME_RANGE_CHANGE, Template, Templating

from app.metrics import AGENT_CALLS, BUILD_INFO, QUEUE_PENDING
from app.promql import MATCHES, Series, select
from app.settings.monitoring import MonitoringSettings
from monitoring.panels.targets import DATASOURCE

#: Any value, as a regular expression: a label that is missing does not match.
_ANY = ".+"
#: What Grafana calls the choice of all values.
ALL = "$__all"


def variables() -> Templating:
    """Return the variables of every dashboard, the same ones so that links between dashboards keep them."""
    settings = MonitoringSettings()
    within = {"environment": f"{MATCHES}$environment"}
    return Templating(
        [
            Template(name="datasource", label="Data source", type="datasource", query="prometheus"),
            _labelled("environment", "Environment", BUILD_INFO),
            _choice("queue", "Queue", QUEUE_PENDING, within),
            _choice("agent", "Agent", AGENT_CALLS, within),
            _constant("runbooks", settings.runbook_url),
            _constant("api", settings.runbook_url.removesuffix("/runbooks") + "/api"),
        ]
    )


def _labelled(name: str, label: str, what: Series, **options: Any) -> Template:
    matchers = options.pop("matchers", {})
    return Template(
        name=name,
        label=label,
        dataSource=DATASOURCE,
        query=f"label_values({select(what, **matchers)}, {name})",
        refresh=REFRESH_ON_TIME_RANGE_CHANGE,
        **options,
    )


def _choice(name: str, label: str, what: Series, matchers: dict[str, str]) -> Template:
    """Return a variable that takes one value, several, or all, which is where it begins."""
    return _labelled(name, label, what, matchers=matchers, multi=True, includeAll=True, allValue=_ANY, default=ALL)


def _constant(name: str, value: str) -> Template:
    """Return a variable that no reader sees; whoever imports the dashboard can give it another value."""
    return Template(name=name, type="constant", query=value, default=value, hide=HIDE_VARIABLE)
