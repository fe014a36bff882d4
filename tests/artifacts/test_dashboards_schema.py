"""Every key of every dashboard is one that Grafana 11.6 knows, by its own models."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from monitoring.dashboards import DASHBOARDS
from monitoring.panels.board import document
from tests.artifacts.grafana_schema import lost_keys

#: Keys that the models lack although Grafana reads them, and where it does.
_ELSEWHERE = {
    r"annotations\.list\[\d+\]\.(tagKeys|titleFormat)": "Prometheus' own options of an annotation",
}


def _dashboard(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(document(DASHBOARDS[name]()))
    return loaded


def _unknown(dashboard: dict[str, Any]) -> list[str]:
    return [key for key in lost_keys(dashboard) if not any(re.fullmatch(known, key) for known in _ELSEWHERE)]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_grafana_knows_every_key(name: str) -> None:
    assert _unknown(_dashboard(name)) == []


@pytest.mark.parametrize("key", _ELSEWHERE)
def test_every_exception_is_needed(key: str) -> None:
    assert any(re.fullmatch(key, lost) for name in DASHBOARDS for lost in lost_keys(_dashboard(name)))


def _panel(dashboard: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(panel for panel in dashboard["panels"] if panel["type"] == kind)


def _misspell_option(dashboard: dict[str, Any]) -> None:
    _panel(dashboard, "stat")["options"]["grahpMode"] = "area"


def _misspell_query(dashboard: dict[str, Any]) -> None:
    _panel(dashboard, "timeseries")["targets"][0]["legend"] = "{{queue}}"


def _misspell_field(dashboard: dict[str, Any]) -> None:
    _panel(dashboard, "timeseries")["fieldConfig"]["defaults"]["custom"]["lineWith"] = 2


def _keep_old_key(dashboard: dict[str, Any]) -> None:
    dashboard["sharedCrosshair"] = True


def test_an_option_that_an_alert_list_does_not_have_is_found() -> None:
    dashboard = _dashboard("alert-pipeline")
    _panel(dashboard, "alertlist")["options"]["limit"] = 10
    assert [key.rpartition(".")[2] for key in _unknown(dashboard)] == ["limit"]


@pytest.mark.parametrize("defect", [_misspell_option, _misspell_query, _misspell_field, _keep_old_key])
def test_a_key_that_grafana_does_not_know_is_found(defect: Callable[[dict[str, Any]], None]) -> None:
    dashboard = _dashboard("overview")
    defect(dashboard)
    assert len(_unknown(dashboard)) == 1
