"""What Grafana 11.6 does not know in a dashboard: read into its own models and written again, and compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

#: Options of an alert list, which the models do not have: grafana/grafana,
#: public/app/plugins/panel/alertlist/types.ts, `UnifiedAlertListOptions`.
_ALERT_LIST = frozenset(
    {
        "alertInstanceLabelFilter",
        "alertName",
        "dashboardAlerts",
        "datasource",
        "folder",
        "groupBy",
        "groupMode",
        "maxItems",
        "showInactiveAlerts",
        "showInstances",
        "sortOrder",
        "stateFilter",
        "viewMode",
    }
)


def lost_keys(dashboard: Mapping[str, Any]) -> list[str]:
    """Return the path of every key that Grafana's models lose or change, such as `panels[3].options.legned`."""
    register_default_plugins()
    read = Dashboard.from_json(json.loads(json.dumps(dashboard)))
    return [*_lost(dashboard, json.loads(json.dumps(read, cls=JSONEncoder)), ""), *_of_alert_lists(dashboard)]


def _of_alert_lists(dashboard: Mapping[str, Any]) -> Iterator[str]:
    for index, panel in enumerate(dashboard["panels"]):
        if panel["type"] == "alertlist":
            yield from (f"panels[{index}].options.{key}" for key in sorted(set(panel["options"]) - _ALERT_LIST))


def _lost(before: object, after: object, path: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            below = f"{path}.{key}".lstrip(".")
            if key in after:
                yield from _lost(value, after[key], below)
            else:
                yield below
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _lost(one, other, f"{path}[{index}]")
    elif before != after:
        yield path
