"""The files that Grafana reads, from `monitoring`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from grafanalib.core import Dashboard

from monitoring.dashboards import DASHBOARDS
from monitoring.panels.board import document
from monitoring.provisioning import dashboard_providers, datasources

_FOLDER = "monitoring/grafana"


def _written(dashboard: Callable[[], Dashboard]) -> Callable[[], str]:
    return lambda: document(dashboard())


#: The dashboards, by the name of their file.
DASHBOARD_FILES: Mapping[str, Callable[[], str]] = {
    f"{name}.json": _written(dashboard) for name, dashboard in DASHBOARDS.items()
}

GRAFANA_FILES: Mapping[str, Callable[[], str]] = {
    **{f"{_FOLDER}/dashboards/{name}": text for name, text in DASHBOARD_FILES.items()},
    # The story names this path.
    "docs/monitoring/grafana-dashboard.json": DASHBOARD_FILES["overview.json"],
    f"{_FOLDER}/provisioning/datasources/marketplace.yaml": datasources,
    f"{_FOLDER}/provisioning/dashboards/marketplace.yaml": dashboard_providers,
}
