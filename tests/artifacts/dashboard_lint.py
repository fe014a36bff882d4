"""Rules for dashboards: what the models of Grafana accept and a reader would still curse."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from app.domain.alerts import EXPLAINED_ALERTS
from app.event_only import EVENT_ONLY
from tests.artifacts.dashboard_parts import panels, queries, rows_and_panels, variables_used
from tests.artifacts.promql_contract import labels_of, problems, selectors

#: Kinds of panels that Grafana 11 and later draw without a plugin of its past.
KINDS = frozenset({"alertlist", "gauge", "heatmap", "state-timeline", "stat", "table", "text", "timeseries"})
_COLUMNS = 24
_LONGEST_UID = 40
_FASTEST_REFRESH_SECONDS = 10
_SPANS = frozenset({"now-24h", "now-7d", "now-30d"})
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_ALERT_NAMES = frozenset(alert.name for alert in EXPLAINED_ALERTS)
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def lint(dashboard: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the dashboard, each complaint with the place."""
    return [
        *_of_dashboard(dashboard),
        *_of_times(dashboard),
        *_of_names(dashboard),
        *(complaint for panel in panels(dashboard) for complaint in _of_panel(panel)),
        *_of_grid(dashboard),
        *_of_queries(dashboard),
    ]


def explained_alerts(panel: Mapping[str, Any]) -> set[str]:
    """Return the names of the alerts whose runbooks the panel links to."""
    found = (re.fullmatch(r"\$\{runbooks\}/(\w+)", link["url"]) for link in panel["links"])
    return {match[1] for match in found if match is not None}


def is_event_only(panel: Mapping[str, Any]) -> bool:
    """Tell whether the panel says of itself that it may be empty."""
    return str(panel["description"]).endswith(f"{EVENT_ONLY}.")


def _of_dashboard(dashboard: Mapping[str, Any]) -> Iterator[str]:
    uid = dashboard["uid"]
    if not re.fullmatch(r"[a-z][a-z0-9-]+", uid) or len(uid) > _LONGEST_UID:
        yield f"uid {uid!r} is no uid"
    if not dashboard.get("description"):
        yield "the dashboard has no description"
    defined = {variable["name"] for variable in dashboard["templating"]["list"]}
    for name in sorted(variables_used(dashboard) - defined):
        yield f"variable {name} is not defined"
    if '"null"' in json.dumps(dashboard):
        yield "the text 'null' stands for no value"


def _of_times(dashboard: Mapping[str, Any]) -> Iterator[str]:
    number, unit = re.fullmatch(r"(\d+)([smh])", dashboard["refresh"]).groups()  # type: ignore[union-attr] # ours
    if int(number) * _SECONDS[unit] < _FASTEST_REFRESH_SECONDS:
        yield f"refresh {dashboard['refresh']} is too fast"
    if dashboard["timezone"] != "browser" or dashboard["graphTooltip"] != 1:
        yield "times are not the reader's, or the crosshair is not shared"
    missing = _SPANS - {span["from"] for span in dashboard["timepicker"]["quick_ranges"]}
    if missing:
        yield f"the picker of times lacks {', '.join(sorted(missing))}"


def _of_names(dashboard: Mapping[str, Any]) -> Iterator[str]:
    for title, times in Counter(panel["title"] for panel in rows_and_panels(dashboard)).items():
        if times > 1:
            yield f"{title!r} is there {times} times"
    for number_of, times in Counter(panel["id"] for panel in rows_and_panels(dashboard)).items():
        if times > 1:
            yield f"id {number_of} is there {times} times"


def _of_panel(panel: Mapping[str, Any]) -> Iterator[str]:
    where = repr(panel["title"])
    defaults = panel["fieldConfig"]["defaults"]
    if panel["type"] not in KINDS:
        yield f"{where} is a {panel['type']}, which Grafana does not draw any more"
    if not panel.get("title") or not panel.get("description"):
        yield f"{where} has no title or description"
    if not defaults.get("unit"):
        yield f"{where} has no unit"
    steps = defaults.get("thresholds", {}).get("steps", ())
    if not steps or steps[0]["value"] is not None:
        yield f"{where}: the first threshold is not without value"
    if panel.get("datasource") != _DATASOURCE:
        yield f"{where} asks another data source"
    if "maxDataPoints" in panel:
        yield f"{where} limits its points"
    yield from _of_links(panel)
    for calculation in panel.get("options", {}).get("reduceOptions", {}).get("calcs", ()):
        if calculation != "lastNotNull":
            yield f"{where} shows the {calculation}, not the last value"


def _of_links(panel: Mapping[str, Any]) -> Iterator[str]:
    if not panel["links"]:
        yield f"{panel['title']!r} leads nowhere"
    for name in sorted(explained_alerts(panel) - _ALERT_NAMES):
        yield f"{panel['title']!r} links to the runbook of {name}, which is no alert"


def _of_grid(dashboard: Mapping[str, Any]) -> Iterator[str]:
    groups = [dashboard["panels"], *(panel["panels"] for panel in dashboard["panels"] if panel.get("panels"))]
    for group in groups:
        for panel in group:
            place = panel["gridPos"]
            if place["x"] < 0 or place["w"] < 1 or place["h"] < 1 or place["x"] + place["w"] > _COLUMNS:
                yield f"{panel['title']!r} does not fit into {_COLUMNS} columns"
        for one, other in combinations(group, 2):
            if _overlap(one["gridPos"], other["gridPos"]):
                yield f"{one['title']!r} and {other['title']!r} overlap"


def _overlap(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "w"), ("y", "h"))
    )


def _of_queries(dashboard: Mapping[str, Any]) -> Iterator[str]:
    for query in queries(dashboard):
        found = problems(query.expression)
        yield from (f"{query.where!r}: {problem}" for problem in found)
        if found:
            continue
        for label in sorted(query.legend_labels - labels_of(query.expression)):
            yield f"{query.where!r}: the result has no label {label}, which the legend shows"
        if query.where != "environment":
            yield from _unscoped(query.where, query.expression)
    for panel in panels(dashboard):
        letters = [target["refId"] for target in panel.get("targets", ())]
        if len(set(letters)) < len(letters):
            yield f"{panel['title']!r}: two queries have one letter"
        for target in panel.get("targets", ()):
            yield from _of_window(panel["title"], target)


def _unscoped(where: str, expression: str) -> Iterator[str]:
    for selector in selectors(expression):
        if "environment" not in {matcher.name for matcher in selector.matchers.matchers}:
            yield f"{where!r}: {selector.name} is of every environment"


def _of_window(title: str, target: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the windows of a query over time: a fixed one skips or smears when a reader zooms."""
    fixed = re.findall(r"\brate\([^\[]*\[(\d+\w)\]", target["expr"])
    if target["range"] and fixed:
        yield f"{title!r}: a rate over {fixed[0]} does not follow the zoom"
    if "histogram_quantile" in target["expr"] and target["range"] and not target["exemplar"]:
        yield f"{title!r}: a latency without exemplars"
