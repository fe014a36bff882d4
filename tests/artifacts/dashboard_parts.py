"""The parts of a dashboard's JSON: panels, and every query with Grafana's variables filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).resolve().parents[2] / "monitoring" / "grafana" / "dashboards"

#: What Grafana itself fills in, with a value that it could be.
_MACROS = {"__rate_interval": "1m", "__interval": "15s", "__range": "24h"}
_VARIABLE = re.compile(r"\$(?:\{([a-zA-Z_]\w*)[^}]*\}|([a-zA-Z_]\w*))")
_LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")

#: Variables of Grafana's own in addresses.
_OF_GRAFANA = frozenset({"__url_time_range", "__all_variables", "__all", "__data", "__value", *_MACROS})


@dataclass(frozen=True)
class Query:
    """One expression: where it stands, as it stands there, and filled in."""

    where: str
    raw: str
    legend: str = ""

    @property
    def expression(self) -> str:
        """Return it with a value for each variable."""
        return _VARIABLE.sub(lambda found: _MACROS.get(found[1] or found[2], ".+"), self.raw)

    @property
    def legend_labels(self) -> frozenset[str]:
        """Return the labels that the legend shows."""
        return frozenset(re.findall(r"\{\{\s*(\w+)\s*\}\}", self.legend))


def committed() -> dict[str, dict[str, Any]]:
    """Return every committed dashboard by its name."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(_FOLDER.glob("*.json"))}


def panels(dashboard: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every panel, those of collapsed rows too, but no row."""
    for panel in rows_and_panels(dashboard):
        if panel["type"] != "row":
            yield panel


def rows_and_panels(dashboard: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every panel and row."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", ())


def queries(dashboard: Mapping[str, Any]) -> Iterator[Query]:
    """Yield every query of panels, annotations and variables."""
    for panel in panels(dashboard):
        for target in panel.get("targets", ()):
            yield Query(panel["title"], target["expr"], target["legendFormat"])
    for mark in dashboard["annotations"]["list"]:
        yield Query(mark["name"], mark["expr"], mark["titleFormat"])
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            found = _LABEL_VALUES.fullmatch(variable["query"])
            if found is None:
                raise ValueError(f"{variable['name']}: not a query of label values: {variable['query']}")
            yield Query(variable["name"], found[1], f"{{{{{found[2]}}}}}")


def variables_used(dashboard: Mapping[str, Any]) -> set[str]:
    """Return the names of all variables that stand anywhere, without Grafana's own."""
    texts = json.dumps([dashboard["panels"], dashboard["annotations"], dashboard["templating"]])
    return {found[1] or found[2] for found in _VARIABLE.finditer(texts)} - _OF_GRAFANA
