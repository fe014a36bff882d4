"""A whole dashboard, and its text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from grafanalib._gen import DashboardEncoder
from grafanalib.core import Dashboard, DashboardLink, Time, TimePicker

from app.domain.dashboards import Dashboard as Board
from monitoring.panels.grid import Row, placed
from monitoring.panels.links import TAG
from monitoring.panels.marks import marks
from monitoring.panels.variables import ALL, variables

#: Of Grafana 11.6; later releases raise it as they read.
SCHEMA_VERSION = 41

#: What the picker of times offers, in words and as Grafana writes it. Story 4.6 names 24 h, 7 d and 30 d.
QUICK_RANGES = {
    "Last 15 minutes": "now-15m",
    "Last 1 hour": "now-1h",
    "Last 6 hours": "now-6h",
    "Last 24 hours": "now-24h",
    "Last 7 days": "now-7d",
    "Last 30 days": "now-30d",
}

#: Keys that grafanalib still writes and that Grafana 11 does not know, by the part of a dashboard that they stand in.
_OUTDATED: Mapping[str, frozenset[str]] = {
    "dashboard": frozenset({"__inputs", "hideControls", "rows", "sharedCrosshair", "style"}),
    "panel": frozenset({"color", "columns", "editable", "error", "fontSize", "height", "mappings", "minSpan", "span"}),
    "variable": frozenset({"auto", "auto_count", "auto_min", "tagValuesQuery", "tags", "tagsQuery", "useTags"}),
    "row": frozenset(
        {"datasource", "fieldConfig", "hideTimeOverride", "links", "targets", "transformations", "transparent"}
    ),
    "custom": frozenset({"displayMode"}),
    "gauge defaults": frozenset({"calcs", "limit", "links", "override", "title", "values"}),
    "gauge config": frozenset({"showThresholdLabels", "showThresholdMarkers"}),
    "time picker": frozenset({"time_options"}),
}


def board(uid: Board, title: str, description: str, rows: Iterable[Row], *, start: str = "now-1h") -> Dashboard:
    """Return the dashboard; `start` is where its time begins when it is opened."""
    return Dashboard(
        title=title,
        uid=str(uid),
        description=description,
        tags=[TAG],
        panels=placed(rows),
        templating=variables(),
        annotations=marks(),
        links=[
            DashboardLink(
                asDropdown=True, includeVars=True, keepTime=True, tags=[TAG], title="Dashboards", type="dashboards"
            )
        ],
        time=Time(start, "now"),
        timePicker=TimePicker(refreshIntervals=["10s", "30s", "1m", "5m", "15m"], timeOptions=[]),
        refresh="10s",
        timezone="browser",
        graphTooltip=1,
        schemaVersion=SCHEMA_VERSION,
        version=1,
    )


def document(dashboard: Dashboard) -> str:
    """Return the dashboard as Grafana reads it: sorted keys, no nulls, nothing outdated, the same for every run."""
    data = json.loads(json.dumps(dashboard.to_json_data(), cls=DashboardEncoder))
    data["timepicker"]["quick_ranges"] = [
        {"display": words, "from": start, "to": "now"} for words, start in QUICK_RANGES.items()
    ]
    _drop(data["timepicker"], "time picker")
    _drop(data, "dashboard")
    for variable in data["templating"]["list"]:
        _drop(variable, "variable")
        _drop(variable["current"], "variable")
        if variable["includeAll"]:
            variable["current"] = {"selected": True, "text": ["All"], "value": [ALL]}
    for panel in _every(data["panels"]):
        _mend(panel)
    return json.dumps(_without_nulls(data), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _every(panels: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    for panel in panels:
        yield panel
        yield from panel.get("panels", ())


def _mend(panel: dict[str, Any]) -> None:
    _drop(panel, "panel")
    config = panel["fieldConfig"]
    config.setdefault("overrides", [])
    if panel["type"] == "row":
        _drop(panel, "row")
        return
    _drop(config["defaults"].get("custom") or {}, "custom")
    if panel["type"] == "gauge":
        _drop(config["defaults"], "gauge defaults")
        _drop(config, "gauge config")


def _drop(part: dict[str, Any], kind: str) -> None:
    for key in _OUTDATED[kind]:
        part.pop(key, None)


def _without_nulls(part: object) -> object:
    """Return the part without the keys that have no value, but for the null of a first threshold."""
    if isinstance(part, dict):
        return {
            key: _without_nulls(value)
            for key, value in part.items()
            if value is not None or (key == "value" and "color" in part)
        }
    return [_without_nulls(value) for value in part] if isinstance(part, list) else part
