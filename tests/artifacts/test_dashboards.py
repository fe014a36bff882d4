from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from app.domain.alerts import EXPLAINED_ALERTS, WATCHDOG
from app.domain.dashboards import Dashboard as Board
from app.event_only import EVENT_ONLY
from app.metrics import METRICS
from monitoring.dashboards import DASHBOARDS
from monitoring.panels.board import document
from tests.artifacts.dashboard_lint import explained_alerts, is_event_only, lint
from tests.artifacts.dashboard_parts import Query, committed, panels, queries
from tests.artifacts.promql_contract import series_in

_COMMITTED = committed()
_MOST_EVENT_ONLY = 5

#: Metrics that no panel shows, each with the reason.
UNUSED: dict[str, str] = {}

#: What story 4.6 asks for, and the panel of the overview that shows it.
_STORY = {
    "queue status": "Queue status",
    "job success rate": "Job success rate",
    "average job duration": "Average job duration",
    "error rate per agent": "Error rate per agent",
    "circuit breaker state per agent": "Circuit breaker state per agent",
    "retry statistics": "Retries",
    "P50, P95, P99 latencies": "P50, P95 and P99 latency",
    "recent failures": "Recent failures",
}


@pytest.mark.parametrize("name", _COMMITTED)
def test_nothing_is_wrong_with_a_dashboard(name: str) -> None:
    assert lint(_COMMITTED[name]) == []


def test_every_dashboard_is_committed() -> None:
    assert set(_COMMITTED) == set(DASHBOARDS)
    assert {dashboard["uid"] for dashboard in _COMMITTED.values()} == set(Board)


def test_a_dashboard_is_the_same_however_often_it_is_made() -> None:
    assert document(DASHBOARDS["overview"]()) == document(DASHBOARDS["overview"]())


def test_every_metric_is_shown() -> None:
    shown = {name for dashboard in _COMMITTED.values() for query in queries(dashboard) for name in _series(query)}
    assert {metric.name for metric in METRICS} - shown == set(UNUSED)


def _series(query: Query) -> frozenset[str]:
    return series_in(query.expression)


def test_every_alert_is_explained_by_a_panel() -> None:
    explained = {name for board in _COMMITTED.values() for panel in panels(board) for name in explained_alerts(panel)}
    assert {alert.name for alert in EXPLAINED_ALERTS if alert is not WATCHDOG} - explained == set()


def test_few_panels_may_be_empty() -> None:
    silent = [panel["title"] for board in _COMMITTED.values() for panel in panels(board) if is_event_only(panel)]
    assert 0 < len(silent) <= _MOST_EVENT_ONLY
    assert len(silent) == sum(str(board).count(EVENT_ONLY) for board in _COMMITTED.values())


@pytest.mark.parametrize("title", _STORY.values(), ids=_STORY)
def test_the_overview_has_what_the_story_names(title: str) -> None:
    assert title in {panel["title"] for panel in panels(_COMMITTED["overview"])}


def test_links_between_dashboards_lead_to_one_of_ours() -> None:
    linked = {
        link["url"].removeprefix("/d/").partition("?")[0]
        for board in _COMMITTED.values()
        for panel in panels(board)
        for link in panel["links"]
        if link["url"].startswith("/d/")
    }
    assert linked == set(Board)


def _first(dashboard: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(panel for panel in panels(dashboard) if panel["type"] == kind)


def _query(dashboard: dict[str, Any], expression: str) -> None:
    _first(dashboard, "timeseries")["targets"][0]["expr"] = expression


def _set(kind: str, key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda dashboard: _first(dashboard, kind).__setitem__(key, value)


_HERE = 'environment=~"$environment"'

_DEFECTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "two panels of one title": (_set("stat", "title", "Retries"), "'Retries' is there 2 times"),
    "two panels of one id": (_set("stat", "id", 9), "id 9 is there 2 times"),
    "no description": (_set("stat", "description", ""), "no title or description"),
    "no unit": (lambda board: _first(board, "stat")["fieldConfig"]["defaults"].pop("unit"), "has no unit"),
    "a panel of the past": (_set("timeseries", "type", "graph"), "is a graph"),
    "another data source": (_set("stat", "datasource", "Prometheus"), "another data source"),
    "a limit of points": (_set("stat", "maxDataPoints", 100), "limits its points"),
    "no link": (_set("stat", "links", []), "leads nowhere"),
    "a runbook of no alert": (
        _set("stat", "links", [{"url": "${runbooks}/MarketplaceNothing"}]),
        "runbook of MarketplaceNothing",
    ),
    "a first threshold with a value": (
        lambda board: _first(board, "stat")["fieldConfig"]["defaults"]["thresholds"]["steps"].pop(0),
        "first threshold",
    ),
    "the text null": (
        lambda board: _first(board, "stat")["fieldConfig"]["defaults"]["thresholds"]["steps"][0].update(value="null"),
        "the text 'null'",
    ),
    "a mean": (
        lambda board: _first(board, "stat")["options"]["reduceOptions"].update(calcs=["mean"]),
        "shows the mean",
    ),
    "a panel beside the grid": (
        lambda board: _first(board, "timeseries")["gridPos"].update(x=20, w=8),
        "does not fit into 24 columns",
    ),
    "a panel over another": (lambda board: _first(board, "stat")["gridPos"].update(x=1), "overlap"),
    "a fast refresh": (lambda board: board.update(refresh="5s"), "refresh 5s is too fast"),
    "a long uid": (lambda board: board.update(uid="m" * 41), "is no uid"),
    "another time zone": (lambda board: board.update(timezone="utc"), "times are not the reader's"),
    "a picker without 30 days": (
        lambda board: board["timepicker"]["quick_ranges"].pop(),
        "lacks now-30d",
    ),
    "a variable that is not defined": (lambda board: _query(board, f"up{{{_HERE},job=~'$jobs'}}"), "variable jobs"),
    "a variable that is gone": (lambda board: board["templating"]["list"].pop(2), "variable queue is not defined"),
    "a metric that is not there": (lambda board: _query(board, f"marketplace_gone{{{_HERE}}}"), "no series"),
    "a sum over levels": (lambda board: _query(board, f"sum(marketplace_redis_up{{{_HERE}}})"), "sum over a level"),
    "every environment": (lambda board: _query(board, "max by (environment, queue) (up)"), "has a label queue"),
    "no environment": (lambda board: _query(board, "up"), "up is of every environment"),
    "a legend of a label that is gone": (
        lambda board: _first(board, "timeseries")["targets"][0].update(legendFormat="{{agent}}"),
        "no label agent, which the legend shows",
    ),
    "a rate that does not follow the zoom": (
        lambda board: _query(board, f"rate(marketplace_jobs_enqueued_total{{{_HERE}}}[5m])"),
        "does not follow the zoom",
    ),
    "one letter twice": (
        lambda board: _first(board, "timeseries")["targets"][1].update(refId="A"),
        "two queries have one letter",
    ),
    "an annotation on a metric that is gone": (
        lambda board: board["annotations"]["list"][0].update(expr="gone"),
        "no series gone",
    ),
    "a variable on a metric that is gone": (
        lambda board: board["templating"]["list"][1].update(query="label_values(gone, environment)"),
        "no series gone",
    ),
    "a latency without exemplars": (
        lambda board: next(
            target for panel in panels(board) for target in panel.get("targets", ()) if target["exemplar"]
        ).update(exemplar=False),
        "a latency without exemplars",
    ),
}


@pytest.mark.parametrize(("defect", "found"), _DEFECTS.values(), ids=_DEFECTS)
def test_a_defect_is_found(defect: Callable[[dict[str, Any]], object], found: str) -> None:
    dashboard = copy.deepcopy(_COMMITTED["overview"])
    defect(dashboard)
    assert any(found in complaint for complaint in lint(dashboard)), lint(dashboard)
