from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from grafanalib.core import Panel

from app.domain.alerts import QUEUE_BACKED_UP
from app.domain.dashboards import Dashboard as Board
from app.event_only import EVENT_ONLY
from monitoring.panels.board import board, document
from monitoring.panels.charts import heatmap, time_series
from monitoring.panels.colours import bad_from, good_from
from monitoring.panels.figures import stat
from monitoring.panels.grid import Row
from monitoring.panels.lists import alert_list, table, text
from monitoring.panels.targets import buckets, lettered, now, over_time, rows_now


def _written(*rows: Row) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(document(board(Board.OVERVIEW, "Title", "Description.", rows)))
    return loaded


def _stat(title: str = "Figure", width: int = 4) -> Panel:
    return stat(title, "A figure.", now("up"), unit="none", steps=bad_from(2), width=width)


def _only(panel: Panel) -> dict[str, Any]:
    found: dict[str, Any] = _written(Row("Row", [panel]))["panels"][1]
    return found


def test_panels_fill_lines_of_24_columns() -> None:
    panels = _written(Row("Row", [_stat(f"{number}", width=10) for number in range(3)]))["panels"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert places == [(0, 0), (0, 1), (10, 1), (0, 5)]


def test_a_collapsed_row_holds_its_panels_and_takes_one_line() -> None:
    rows = _written(Row("Closed", [_stat("Inside")], collapsed=True), Row("Open", [_stat("Below")]))["panels"]
    assert [panel["title"] for panel in rows] == ["Closed", "Open", "Below"]
    assert [panel["title"] for panel in rows[0]["panels"]] == ["Inside"]
    assert rows[1]["gridPos"]["y"] == 1
    assert [panel["id"] for panel in (rows[0], rows[0]["panels"][0], rows[1], rows[2])] == [1, 2, 3, 4]


def test_a_panel_wider_than_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="wider than the grid"):
        _written(Row("Row", [_stat(width=25)]))


def test_a_panel_without_words_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a title and a description"):
        stat("Title", "", now("up"), unit="none")


def test_a_panel_links_to_the_runbook_of_each_alert_that_it_explains() -> None:
    panel = _only(stat("Depth", "Depth.", now("up"), unit="none", alerts=[QUEUE_BACKED_UP]))
    assert [link["url"] for link in panel["links"]] == ["${runbooks}/MarketplaceQueueBackedUp"]


def test_a_panel_that_may_be_empty_says_so_at_its_end() -> None:
    panel = _only(stat("Turns", "Turns.", now("up"), unit="none", event_only="Circuits turn seldom."))
    assert panel["description"] == f"Turns. Circuits turn seldom. {EVENT_ONLY}."


def test_the_first_threshold_has_a_real_null() -> None:
    steps = _only(_stat())["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert steps == [{"color": "green", "value": None}, {"color": "red", "value": 2}]


def test_what_is_good_when_it_is_high_is_red_below_its_limit() -> None:
    assert [step["color"] for step in good_from(0.99)] == ["red", "green"]
    assert [step["color"] for step in good_from(0.5, poor_from=0.0)] == ["red", "orange", "green"]


def test_queries_have_letters_in_their_order() -> None:
    assert [target.refId for target in lettered([now("a"), now("b")])] == ["A", "B"]
    with pytest.raises(ValueError, match="shorter"):
        lettered([now("up")] * 27)


def test_a_query_asks_for_one_moment_or_for_the_whole_time() -> None:
    one, whole = now("up").to_json_data(), over_time("up", exemplars=True).to_json_data()
    assert (one["instant"], one["range"], one["exemplar"]) == (True, False, False)
    assert (whole["instant"], whole["range"], whole["exemplar"]) == (False, True, True)


_KINDS: dict[str, Callable[[], Panel]] = {
    "stat": _stat,
    "timeseries": lambda: time_series("Line", "A line.", over_time("up"), unit="s"),
    "heatmap": lambda: heatmap("Heat", "Heat.", buckets("up"), unit="s"),
    "table": lambda: table("Table", "A table.", rows_now("up"), columns={"job": "Job"}, unit="none"),
    "alertlist": lambda: alert_list("Alerts", "Alerts."),
    "text": lambda: text("Text", "A text.", "**words**"),
}


@pytest.mark.parametrize("kind", _KINDS)
def test_a_panel_is_written_as_grafana_has_it_today(kind: str) -> None:
    panel = _only(_KINDS[kind]())
    assert panel["type"] == kind
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert not {"editable", "error", "maxDataPoints", "span", "height"} & set(panel)


def test_a_choice_of_all_is_where_a_variable_begins() -> None:
    variables = {variable["name"]: variable for variable in _written()["templating"]["list"]}
    assert variables["queue"]["current"] == {"selected": True, "text": ["All"], "value": ["$__all"]}
    assert not variables["environment"]["multi"]
    assert variables["runbooks"]["query"].endswith("/runbooks")
