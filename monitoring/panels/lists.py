"""Panels of rows and words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from grafanalib.core import Panel, Table, Text

from monitoring.panels.colours import PLAIN, Steps
from monitoring.panels.frame import Frame, framed
from monitoring.panels.targets import PTarget, lettered


class AlertListPanel(Panel):
    """Grafana's own list of alerts; grafanalib's is no panel, and its options are those of Grafana 7."""

    def to_json_data(self) -> dict[str, Any]:
        """Return the panel: our alerts of every data source, because Grafana fills no variable into this option."""
        panel: dict[str, Any] = self.panel_json(
            {
                "fieldConfig": {"defaults": {"unit": "none"}, "overrides": []},
                "options": {
                    "alertInstanceLabelFilter": '{environment=~"$environment|"}',
                    "alertName": "Marketplace",
                    "dashboardAlerts": False,
                    "groupBy": [],
                    "groupMode": "default",
                    "maxItems": 20,
                    "sortOrder": 3,
                    "stateFilter": {
                        "error": True,
                        "firing": True,
                        "noData": False,
                        "normal": False,
                        "pending": True,
                        "recovering": True,
                    },
                    "viewMode": "list",
                },
                "type": "alertlist",
            }
        )
        return panel


def table(
    title: str,
    description: str,
    target: PTarget,
    *,
    columns: Mapping[str, str],
    unit: str,
    steps: Steps = PLAIN,
    cell_links: Mapping[str, dict[str, Any]] | None = None,
    **frame: Unpack[Frame],
) -> Panel:
    """Return a table: `columns` are labels and their headings, in order; `Value` is the figure, which has the unit.

    `cell_links` puts a link behind every cell of the column with this heading.
    """
    shown = {"excludeByName": {"Time": True}, "includeByName": dict.fromkeys(columns, True)}
    order = {"indexByName": {name: index for index, name in enumerate(columns)}, "renameByName": dict(columns)}
    most_first = [{"desc": True, "displayName": columns["Value"]}] if "Value" in columns else []
    return Table(
        **framed(title, description, frame, width=12, height=8),
        targets=lettered([target]),
        thresholds=list(steps),
        unit=unit,
        transformations=[{"id": "organize", "options": shown | order}],
        overrides=[
            {
                "matcher": {"id": "byName", "options": heading},
                "properties": [{"id": "links", "value": [link]}],
            }
            for heading, link in (cell_links or {}).items()
        ],
        extraJson={
            "fieldConfig": {"defaults": {"color": {"mode": "thresholds"}, "custom": {"cellOptions": {"type": "auto"}}}},
            "options": {"cellHeight": "sm", "sortBy": most_first},
        },
    )


def alert_list(title: str, description: str, **frame: Unpack[Frame]) -> Panel:
    """Return Grafana's list of the alerts that Prometheus evaluates."""
    return AlertListPanel(**framed(title, description, frame, width=12, height=8), thresholds=list(PLAIN))


def text(title: str, description: str, markdown: str, **frame: Unpack[Frame]) -> Panel:
    """Return words."""
    return Text(
        **framed(title, description, frame, width=24, height=4),
        content=markdown,
        thresholds=list(PLAIN),
        extraJson={"fieldConfig": {"defaults": {"unit": "none"}, "overrides": []}},
    )
