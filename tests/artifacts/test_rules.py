"""The rule files, for every retention: Prometheus accepts them, and they say what the tables say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from app.domain.alerts import ALERTS
from app.domain.objectives import OBJECTIVES
from app.metrics import METRICS
from app.recorded_series import ERROR_WINDOWS, RECORDED, fitting_windows
from app.settings.monitoring import MonitoringSettings
from deploy.artifacts.rule_documents import RECORDING_FILE, documents, rule_groups, rules_by_family
from tests.artifacts.promql_contract import problems, selectors
from tests.prometheus_tools import promtool

#: Hours, and the long and the short windows of the burn rates that fit.
RETENTIONS: Mapping[int, set[tuple[str, str]]] = {
    2: {("1h", "5m")},
    24: {("1h", "5m"), ("6h", "30m")},
    168: {("1h", "5m"), ("6h", "30m"), ("1d", "2h"), ("3d", "6h")},
    720: {("1h", "5m"), ("6h", "30m"), ("1d", "2h"), ("3d", "6h")},
}
_EVERYTHING = MonitoringSettings(retention_hours=168)


def _expressions(settings: MonitoringSettings) -> list[str]:
    return [str(rule["expr"]) for group in rule_groups(settings) for rule in group.rules]


@pytest.mark.parametrize("hours", RETENTIONS)
def test_prometheus_accepts_the_rules(hours: int, tmp_path: Path) -> None:
    for name, text in documents(MonitoringSettings(retention_hours=hours)).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    result = promtool("check", "rules", *sorted(tmp_path.glob("*.rules.yml")))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "duplicate" not in result.stdout + result.stderr


@pytest.mark.parametrize("hours", RETENTIONS)
def test_burn_rates_are_those_whose_windows_fit(hours: int) -> None:
    rules = rules_by_family(MonitoringSettings(retention_hours=hours))["objectives"]
    pattern = re.compile(r"slo:error_ratio:rate(\w+)\{.*\n.*slo:error_ratio:rate(\w+)\{")
    found = [match.groups() for rule in rules if (match := pattern.search(rule.expr))]
    assert set(found) == RETENTIONS[hours]
    assert len(found) == len(OBJECTIVES) * len(RETENTIONS[hours])


@pytest.mark.parametrize("hours", RETENTIONS)
def test_no_window_but_that_of_the_budget_is_longer_than_half_of_the_retention(hours: int) -> None:
    groups = rule_groups(MonitoringSettings(retention_hours=hours))
    rules = [rule for group in groups for rule in group.rules if rule.get("record") != "slo:budget_left:ratio"]
    windows = {window for rule in rules for window in re.findall(r"\[(\w+)\]", str(rule["expr"]))}
    assert max(map(_seconds, windows)) <= hours * 3600 / 2


def test_a_retention_that_no_burn_rate_fits_is_refused() -> None:
    with pytest.raises(ValueError, match="keep 2 h at least"):
        fitting_windows(1)


@pytest.mark.parametrize("hours", RETENTIONS)
def test_what_is_recorded_and_fits_is_what_the_table_has(hours: int) -> None:
    text = documents(MonitoringSettings(retention_hours=hours))[RECORDING_FILE]
    written = {rule["record"] for group in yaml.safe_load(text)["groups"] for rule in group["rules"]}
    windows = fitting_windows(hours)
    too_long = {window for window in ERROR_WINDOWS if window not in windows}
    wanted = {series.name for series in RECORDED if not any(series.name.endswith(window) for window in too_long)}
    assert written == wanted


def test_every_label_of_a_recorded_series_is_set() -> None:
    labels: dict[str, set[tuple[str, str]]] = {}
    for group in rule_groups(_EVERYTHING):
        for rule in group.rules:
            static = rule.get("labels", {})
            assert isinstance(static, Mapping)
            if "record" in rule:
                labels.setdefault(str(rule["record"]), set()).update(static.items())
    wanted = {
        series.name: {(name, str(value)) for name, values in series.labels.items() for value in values}
        for series in RECORDED
        if series.name != "queue:drain_seconds:estimate"  # its expression has the label itself
    }
    assert {name: found for name, found in labels.items() if name in wanted} == wanted


def test_every_alert_of_the_catalogue_has_a_rule() -> None:
    assert {rule.alert for rules in rules_by_family(_EVERYTHING).values() for rule in rules} == set(ALERTS)


@pytest.mark.parametrize("expression", _expressions(_EVERYTHING))
def test_an_expression_names_series_and_labels_of_the_tables_only(expression: str) -> None:
    assert expression == "vector(1)" or selectors(expression)
    assert problems(expression) == []


def test_levels_are_never_summed() -> None:
    levels = [metric.name for metric in METRICS if metric.level]
    summed = re.compile(rf"\b(?:sum|avg|count)\b[^()]*\((?:{'|'.join(levels)})\b")
    assert [expression for expression in _expressions(_EVERYTHING) if summed.search(expression)] == []


def test_every_aggregation_keeps_the_environment() -> None:
    aggregation = re.compile(r"\b(?:sum|max|min|avg|count|group)\b (?:by \(([^)]*)\))?")
    found = [kept for expression in _expressions(_EVERYTHING) for kept in aggregation.findall(expression)]
    assert found
    assert [kept for kept in found if "environment" not in kept.split(", ")] == []


def test_templates_know_no_label_that_only_the_rule_has() -> None:
    for rules in rules_by_family(_EVERYTHING).values():
        for rule in rules:
            annotations = str(rule.document(_EVERYTHING)["annotations"])
            assert [name for name in rule.labels if f"$labels.{name}" in annotations] == []


def test_templates_name_labels_of_the_issue_only() -> None:
    for rules in rules_by_family(_EVERYTHING).values():
        for rule in rules:
            named = set(re.findall(r"\$labels\.(\w+)", rule.summary + rule.description))
            assert named <= {"environment", *rule.alert.subject}, rule.alert.name


@pytest.mark.parametrize("name", ["runbook_url", "dashboard_url"])
def test_links_lead_where_the_settings_say(name: str) -> None:
    settings = MonitoringSettings(runbook_url="https://docs.example/r/", grafana_url="https://grafana.example")
    for rules in rules_by_family(settings).values():
        for rule in rules:
            annotations = rule.document(settings)["annotations"]
            assert isinstance(annotations, Mapping)
            environment = rule.labels.get("environment", "{{ $labels.environment }}")
            query = f"var-environment={environment}&from=now-1h&to=now"
            wanted = {
                "runbook_url": f"https://docs.example/r/{rule.alert.name}",
                "dashboard_url": f"https://grafana.example/d/{rule.dashboard}?{query}",
            }
            assert annotations[name] == wanted[name]


def _seconds(window: str) -> int:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    return int(window[:-1]) * units[window[-1]]
