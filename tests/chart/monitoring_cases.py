"""Values of the chart, and the settings of monitoring that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from app.settings.monitoring import MonitoringSettings
from tests.chart.rendering import Rendered

#: What the chart takes when the values say nothing.
DEFAULTS: Mapping[str, Any] = {
    "environment": "production",
    "runbook_url": "http://demo-marketplace-web.ops.svc:8000/runbooks",
    "grafana_url": "http://demo-marketplace-grafana.ops.svc:3000",
}

#: Retentions at, just below and far beyond each number of hours from which on there are other rules.
_HOURS = (2, 3, 4, 11, 12, 47, 48, 143, 144, 8760)

_TABLE: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "defaults": ({}, {}),
    **{f"{hours} h": ({"prometheus": {"retentionHours": hours}}, {"retention_hours": hours}) for hours in _HOURS},
    "scraped each second": ({"monitoring": {"scrapeSeconds": 1}}, {"scrape_seconds": 1}),
    "addresses": (
        {
            "environment": "2",  # a number, were it not for quotes
            "urls": {"runbooks": "https://docs.example/it's/{{.Release.Name}}/", "grafana": "https://g.example/x"},
        },
        {"environment": "2", "runbook_url": "https://docs.example/it's/demo", "grafana_url": "https://g.example/x"},
    ),
    "ingress": (
        {
            "web": {"ingress": {"enabled": True, "hosts": ["shop.example"], "tls": [{"hosts": ["shop.example"]}]}},
            "grafana": {"ingress": {"enabled": True, "hosts": ["grafana.example"]}},
        },
        {"runbook_url": "https://shop.example/runbooks", "grafana_url": "http://grafana.example"},
    ),
}

#: Values and settings, for `pytest.mark.parametrize`.
SETTINGS_CASES = [
    pytest.param(values, MonitoringSettings(**{**DEFAULTS, **settings}), id=name)
    for name, (values, settings) in _TABLE.items()
]


def config_map(rendered: Rendered, component: str) -> Mapping[str, str]:
    """Return the files of a ConfigMap of the release `demo`."""
    data: Mapping[str, str] = rendered.one("ConfigMap", f"demo-marketplace-{component}")["data"]
    return data
