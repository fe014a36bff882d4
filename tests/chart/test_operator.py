"""The objects for the Prometheus Operator: the same jobs, rules and routes as without it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerting.inhibitions import INHIBITIONS
from app.domain.alerts import ALERTS, RELAY_BACKLOG, RELAY_DEGRADED, Alert
from app.domain.observers import RELAY_JOB
from app.settings.monitoring import MonitoringSettings
from deploy.artifacts.rule_documents import rule_groups
from monitoring.scraping import METRICS_PATHS, SCHEDULER_JOB, WEB_JOB, WORKER_JOB
from tests.alert_routes import receivers_of
from tests.chart.manifest_files import Object, container
from tests.chart.monitoring_cases import SETTINGS_CASES
from tests.chart.operator_config import alertmanager_config_of
from tests.chart.rendering import Rendered, refused, render
from tests.chart.schemas import problems
from tests.prometheus_tools import amtool, promtool

_KINDS = ("ServiceMonitor", "PodMonitor", "PrometheusRule", "AlertmanagerConfig")
_ROUTES = "demo-marketplace-routes"
_RULES = "demo-marketplace-rules"

_SECOND = {
    "secondWebhook": {"existingSecret": "pager", "key": "webhook"},
    "email": {"to": "oncall@example.com", "from": "alerts@example.com", "smarthost": "mail.example.com:587"},
}


def _rendered(values: Mapping[str, Any] | None = None, **operator: Any) -> Rendered:
    merged = copy.deepcopy(dict(values or {}))
    merged.setdefault("monitoring", {})["operator"] = {"enabled": True, **operator}
    return render(merged)


def _monitors(rendered: Rendered) -> dict[str, tuple[Object, dict[str, Any]]]:
    """Return each monitor with its endpoint, by the label `job` that its targets get."""
    found = {}
    for monitor in (*rendered.of("ServiceMonitor"), *rendered.of("PodMonitor")):
        spec = monitor["spec"]
        (endpoint,) = spec.get("endpoints") or spec["podMetricsEndpoints"]
        labels = {rule["targetLabel"]: rule["replacement"] for rule in endpoint["relabelings"]}
        found[labels["job"]] = (monitor, {**endpoint, "labels": labels})
    return found


def _is_selected(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    chosen = selector.get("matchExpressions", ())
    return selector["matchLabels"].items() <= labels.items() and all(
        rule["operator"] == "In" and labels[rule["key"]] in rule["values"] for rule in chosen
    )


def test_there_are_none_unless_asked_for() -> None:
    assert [found["kind"] for found in render().all() if found["kind"] in _KINDS] == []


def test_the_chart_ships_no_definitions_of_kinds() -> None:
    assert _rendered().of("CustomResourceDefinition") == ()


@pytest.mark.parametrize(
    ("switch", "kind"),
    [
        ("serviceMonitor", "ServiceMonitor"),
        ("podMonitor", "PodMonitor"),
        ("prometheusRule", "PrometheusRule"),
        ("alertmanagerConfig", "AlertmanagerConfig"),
    ],
)
def test_each_kind_has_a_switch_of_its_own(switch: str, kind: str) -> None:
    kinds = {found["kind"] for found in _rendered(**{switch: {"enabled": False}}).all()}
    assert kinds.intersection(_KINDS) == {other for other in _KINDS if other != kind}


def test_selectors_of_the_user_s_prometheus_find_them() -> None:
    rendered = _rendered(labels={"release": "stack"})
    found = [each for kind in _KINDS for each in rendered.of(kind)]
    assert len(found) == 6
    assert {each["metadata"]["labels"]["release"] for each in found} == {"stack"}


def test_the_operators_take_them() -> None:
    rendered = _rendered({"alertmanager": _SECOND})
    assert [problem for kind in _KINDS for each in rendered.of(kind) for problem in problems(each, "1.30")] == []


@pytest.mark.parametrize("job", [WEB_JOB, WORKER_JOB, SCHEDULER_JOB, RELAY_JOB])
def test_a_job_is_scraped_as_rules_expect_it(job: str) -> None:
    _, endpoint = _monitors(_rendered({"environment": "staging"}))[job]
    assert endpoint["labels"] == {"job": job, "environment": "staging"}
    assert endpoint["path"] == METRICS_PATHS[job]
    assert endpoint["interval"] == endpoint["scrapeTimeout"] == "5s"


@pytest.mark.parametrize(
    ("job", "pods"),
    [
        (WEB_JOB, ["web"]),
        (WORKER_JOB, ["quarantine", "worker"]),
        (SCHEDULER_JOB, ["scheduler"]),
        (RELAY_JOB, ["relay"]),
    ],
)
def test_every_pod_is_a_target_once(job: str, pods: list[str]) -> None:
    rendered = _rendered()
    monitor, endpoint = _monitors(rendered)[job]
    found = []
    for role in rendered.of("Deployment"):
        labels = role["spec"]["template"]["metadata"]["labels"]
        ports = [port["name"] for port in container(role)["ports"]]
        if monitor["kind"] == "PodMonitor":
            if _is_selected(monitor["spec"]["selector"], labels):
                found += [labels["app.kubernetes.io/component"]] * ports.count(endpoint["port"])
            continue
        for service in rendered.of("Service"):
            leads_here = service["spec"]["selector"].items() <= labels.items()
            if leads_here and _is_selected(monitor["spec"]["selector"], service["metadata"]["labels"]):
                names = [port["name"] for port in service["spec"]["ports"]]
                found += [labels["app.kubernetes.io/component"]] * names.count(endpoint["port"])
    assert sorted(found) == pods


def test_a_role_that_is_off_has_no_monitor() -> None:
    rendered = _rendered({name: {"enabled": False} for name in ("scheduler", "relay", "quarantine")})
    assert set(_monitors(rendered)) == {WEB_JOB, WORKER_JOB}


def test_scrapes_may_be_rarer_but_not_so_rare_that_rules_go_blind() -> None:
    assert {endpoint["interval"] for _, endpoint in _monitors(_rendered(interval="15s")).values()} == {"15s"}
    assert "interval" in refused({"monitoring": {"operator": {"enabled": True, "interval": "30s"}}})


@pytest.mark.parametrize(("values", "settings"), SETTINGS_CASES)
def test_rules_are_those_of_the_settings(values: Mapping[str, Any], settings: MonitoringSettings) -> None:
    wanted = [copy.deepcopy(group.document()) for group in rule_groups(settings)]
    for group in wanted:
        rules = group["rules"]
        assert isinstance(rules, list)
        for rule in rules:
            if "alert" in rule:
                rule["labels"] = {**rule["labels"], "namespace": "ops"}
    merged = {**values, "monitoring": {**values.get("monitoring", {}), "operator": {"enabled": True}}}
    assert render(merged).one("PrometheusRule", _RULES)["spec"]["groups"] == wanted


def test_promtool_accepts_the_rules(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump(_rendered().one("PrometheusRule", _RULES)["spec"]), encoding="utf-8")
    result = promtool("check", "rules", path)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """Return what an Alertmanager of the operator reads."""
    resource = _rendered({"alertmanager": _SECOND}).one("AlertmanagerConfig", _ROUTES)
    path = tmp_path / "alertmanager.yml"
    path.write_text(yaml.safe_dump(alertmanager_config_of(resource)), encoding="utf-8")
    return path


def test_amtool_accepts_what_the_operator_makes_of_the_routes(configuration: Path) -> None:
    result = amtool("check-config", configuration)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(INHIBITIONS)} inhibit rules" in result.stdout


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_of_the_namespace_goes_to_the_relay(alert: Alert, configuration: Path) -> None:
    ways = receivers_of(alert, configuration, namespace="ops")
    ours = ["second", "relay"] if alert in {RELAY_DEGRADED, RELAY_BACKLOG} else ["relay"]
    assert ways == [f"ops/{_ROUTES}/{name}" for name in ours]


def test_alerts_of_others_do_not(configuration: Path) -> None:
    assert receivers_of(ALERTS[0], configuration, namespace="theirs") == ["rest"]


def test_credentials_come_from_secrets() -> None:
    rendered = _rendered({"alertmanager": _SECOND})
    relay, second = rendered.one("AlertmanagerConfig", _ROUTES)["spec"]["receivers"]
    (webhook,) = relay["webhookConfigs"]
    assert webhook["url"] == "http://demo-marketplace-relay.ops.svc:8200/alerts"
    token = webhook["httpConfig"]["authorization"]["credentials"]
    assert token["key"] in rendered.one("Secret", token["name"])["data"]
    assert [each["urlSecret"] for each in second["webhookConfigs"]] == [{"name": "pager", "key": "webhook"}]
    assert [each["requireTLS"] for each in second["emailConfigs"]] == [True]


def test_without_a_second_way_that_receiver_is_empty() -> None:
    assert _rendered().one("AlertmanagerConfig", _ROUTES)["spec"]["receivers"][1] == {"name": "second"}
