"""The bundled Prometheus: what it mounts is what promtool and the gates of the rules have judged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings.monitoring import MonitoringSettings
from deploy.artifacts.rule_documents import ALERT_FILE, RECORDING_FILE, documents
from monitoring.scraping import METRICS_PATHS, retention_argument
from tests.chart.manifest_files import container, env, mounts, pod_spec, volumes
from tests.chart.monitoring_cases import SETTINGS_CASES, config_map
from tests.chart.pod_security import violations
from tests.chart.rendering import Rendered, refused, render
from tests.prometheus_tools import promtool

_NAME = "demo-marketplace-prometheus"
_RULE_FILES = (RECORDING_FILE, ALERT_FILE)

#: Values whose configurations differ.
_CONFIGURATIONS: Mapping[str, Mapping[str, Any]] = {
    "defaults": {},
    "external Alertmanager": {
        "alertmanager": {"enabled": False},
        "externalAlertmanager": {"url": "https://alerts.example/am/"},
    },
    "no Alertmanager": {"alertmanager": {"enabled": False}},
    "few roles": {name: {"enabled": False} for name in ("quarantine", "scheduler", "relay")},
    "further targets": {
        "prometheus": {
            "extraScrapeConfigs": [{"job_name": "redis", "static_configs": [{"targets": ["redis.example:9121"]}]}]
        }
    },
}


def _config(values: Mapping[str, Any]) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(config_map(render(values), "prometheus")["prometheus.yml"])
    return loaded


def _jobs(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {job["job_name"]: job for job in _config(values)["scrape_configs"]}


def _written(rendered: Rendered, folder: Path) -> Path:
    for name, text in config_map(rendered, "prometheus").items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("values", _CONFIGURATIONS.values(), ids=_CONFIGURATIONS)
def test_promtool_accepts_what_is_mounted(values: Mapping[str, Any], tmp_path: Path) -> None:
    result = promtool("check", "config", _written(render(values), tmp_path) / "prometheus.yml")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("rules found") == len(_RULE_FILES)


@pytest.mark.parametrize(("values", "settings"), SETTINGS_CASES)
def test_rules_are_those_of_the_settings(values: Mapping[str, Any], settings: MonitoringSettings) -> None:
    mounted = config_map(render(values), "prometheus")
    wanted = documents(settings)
    assert {name: yaml.safe_load(mounted[name]) for name in _RULE_FILES} == {
        name: yaml.safe_load(wanted[name]) for name in _RULE_FILES
    }


@pytest.mark.parametrize(("values", "settings"), SETTINGS_CASES)
def test_promtool_accepts_the_rules(values: Mapping[str, Any], settings: MonitoringSettings, tmp_path: Path) -> None:
    folder = _written(render(values), tmp_path)
    result = promtool("check", "rules", *(folder / name for name in _RULE_FILES))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "duplicate" not in result.stdout + result.stderr, settings


@pytest.mark.parametrize(("values", "settings"), SETTINGS_CASES)
def test_it_keeps_and_scrapes_as_the_settings_say(values: Mapping[str, Any], settings: MonitoringSettings) -> None:
    assert retention_argument(settings) in container(render(values).one("StatefulSet", _NAME))["args"]
    every = f"{settings.scrape_seconds}s"
    assert _config(values)["global"] == dict.fromkeys(
        ("scrape_interval", "scrape_timeout", "evaluation_interval"), every
    )


def test_every_job_of_the_product_is_scraped_where_it_answers() -> None:
    assert {name: job["metrics_path"] for name, job in _jobs({}).items()} == METRICS_PATHS


def test_every_target_has_the_environment() -> None:
    for job in _jobs({"environment": "staging"}).values():
        static = [part["labels"] for part in job.get("static_configs", ())]
        relabelled = [{rule["target_label"]: rule["replacement"]} for rule in job.get("relabel_configs", ())]
        assert static + relabelled == [{"environment": "staging"}]


def test_every_name_lists_the_pods_of_a_role_at_the_port_where_they_answer() -> None:
    rendered = render()
    looked_up = [part for job in _jobs({}).values() for part in job.get("dns_sd_configs", ())]
    names = [(name, part["port"]) for part in looked_up for name in part["names"]]
    assert len(names) == 5
    for name, port in names:
        service = rendered.one("Service", name.removesuffix(".ops.svc"))["spec"]
        assert service["clusterIP"] == "None"
        assert service["publishNotReadyAddresses"]
        selected = [
            found
            for found in rendered.of("Deployment")
            if service["selector"].items() <= found["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert [part["containerPort"] for found in selected for part in container(found)["ports"]] == [port]


def test_what_is_not_installed_is_not_scraped() -> None:
    off = {name: {"enabled": False} for name in ("quarantine", "scheduler", "relay", "alertmanager")}
    jobs = _jobs(off)
    assert set(jobs) == {"marketplace-web", "marketplace-worker", "prometheus"}
    assert jobs["marketplace-worker"]["dns_sd_configs"][0]["names"] == ["demo-marketplace-worker-metrics.ops.svc"]


def test_further_targets_come_last() -> None:
    assert list(_jobs(_CONFIGURATIONS["further targets"])) == [*METRICS_PATHS, "redis"]


def test_alerts_go_to_the_bundled_alertmanager() -> None:
    (told,) = _config({})["alerting"]["alertmanagers"]
    assert told == {"static_configs": [{"targets": ["demo-marketplace-alertmanager.ops.svc:9093"]}]}


def test_alerts_go_to_an_alertmanager_elsewhere() -> None:
    (told,) = _config(_CONFIGURATIONS["external Alertmanager"])["alerting"]["alertmanagers"]
    assert told == {
        "scheme": "https",
        "path_prefix": "/am",
        "static_configs": [{"targets": ["alerts.example"]}],
    }


def test_alerts_stay_where_there_is_no_alertmanager() -> None:
    assert "alerting" not in _config(_CONFIGURATIONS["no Alertmanager"])


def test_a_changed_rule_restarts_it_and_nothing_else_does() -> None:
    def checksum(values: Mapping[str, Any]) -> str:
        annotations = render(values).one("StatefulSet", _NAME)["spec"]["template"]["metadata"]["annotations"]
        return str(annotations["checksum/config"])

    assert checksum({"urls": {"runbooks": "https://docs.example"}}) != checksum({})
    assert checksum({"worker": {"replicas": 7}}) == checksum({})


@pytest.mark.parametrize("component", ["prometheus", "alertmanager", "grafana"])
def test_an_observer_is_restricted_and_gets_no_token(component: str) -> None:
    spec = pod_spec(render().one("StatefulSet", f"demo-marketplace-{component}"))
    assert violations(spec) == []
    assert spec["automountServiceAccountToken"] is False
    (only,) = spec["containers"]
    assert only["securityContext"]["readOnlyRootFilesystem"]
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= only.keys()


@pytest.mark.parametrize("component", ["prometheus", "alertmanager", "grafana"])
def test_an_observer_keeps_its_data_on_a_volume_of_the_given_class(component: str) -> None:
    found = render({component: {"persistence": {"storageClass": "fast", "size": "3Gi"}}})
    (claim,) = found.one("StatefulSet", f"demo-marketplace-{component}")["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["resources"]["requests"]["storage"] == "3Gi"
    # Kubernetes lets nobody change these, so an upgrade must not.
    assert not {"helm.sh/chart", "app.kubernetes.io/version"} & claim["metadata"]["labels"].keys()


@pytest.mark.parametrize(
    ("persistence", "volume"),
    [
        ({"enabled": False, "size": "2Gi"}, {"emptyDir": {"sizeLimit": "2Gi"}}),
        ({"existingClaim": "mine"}, {"persistentVolumeClaim": {"claimName": "mine"}}),
    ],
    ids=["none", "a claim of the user"],
)
@pytest.mark.parametrize("component", ["prometheus", "alertmanager", "grafana"])
def test_an_observer_can_do_without_a_volume_of_its_own(
    component: str, persistence: Mapping[str, Any], volume: Mapping[str, Any]
) -> None:
    found = render({component: {"persistence": persistence}}).one("StatefulSet", f"demo-marketplace-{component}")
    assert "volumeClaimTemplates" not in found["spec"]
    assert volumes(found)["data"] == {"name": "data", **volume}


@pytest.mark.parametrize("component", ["prometheus", "alertmanager", "grafana"])
def test_an_observer_runs_where_it_is_told_to(component: str) -> None:
    place = {"nodeSelector": {"disk": "ssd"}, "tolerations": [{"operator": "Exists"}], "priorityClassName": "high"}
    assert (
        place.items()
        <= pod_spec(render({component: place}).one("StatefulSet", f"demo-marketplace-{component}")).items()
    )


@pytest.mark.parametrize("component", ["prometheus", "alertmanager", "grafana"])
def test_an_observer_that_is_off_leaves_nothing(component: str) -> None:
    off: dict[str, Any] = {component: {"enabled": False}}
    if component == "prometheus":
        off |= {"externalPrometheus": {"url": "http://p.example:9090"}}
    name = f"demo-marketplace-{component}"
    rendered = render(off)
    assert not any(rendered.has(kind, name) for kind in ("StatefulSet", "Service", "ConfigMap"))


@pytest.mark.parametrize("component", ["prometheus", "alertmanager", "grafana"])
def test_an_image_can_be_pinned_by_its_digest(component: str) -> None:
    digest = f"sha256:{'0' * 64}"
    found = render({component: {"image": {"digest": digest}}}).one("StatefulSet", f"demo-marketplace-{component}")
    assert container(found)["image"].endswith(f"/{component}@{digest}")


def test_links_lead_where_people_reach_it_and_it_answers_at_the_root() -> None:
    found = render({"urls": {"prometheus": "https://shop.example/prometheus/"}}).one("StatefulSet", _NAME)
    arguments = container(found)["args"]
    assert "--web.external-url=https://shop.example/prometheus" in arguments
    assert "--web.route-prefix=/" in arguments


def test_it_reads_its_files_where_they_are_mounted() -> None:
    found = render().one("StatefulSet", _NAME)
    mounted = mounts(found)["/etc/prometheus"]
    assert volumes(found)[mounted["name"]]["configMap"]["name"] == _NAME
    assert "--config.file=/etc/prometheus/prometheus.yml" in container(found)["args"]
    assert env(found) == {}


def test_a_retention_that_no_rule_fits_is_refused() -> None:
    assert "retentionHours" in refused({"prometheus": {"retentionHours": 1}})
