"""Names, images, services and ingresses."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.helm_cli import CHART, run_helm
from tests.chart.manifest_files import container, env, pod_spec
from tests.chart.rendering import refused, render

_DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("release", "values", "name"),
    [
        ("demo", {}, "demo-marketplace-web"),
        ("marketplace", {}, "marketplace-web"),
        ("the-marketplace", {}, "the-marketplace-web"),
        ("demo", {"nameOverride": "shop"}, "demo-shop-web"),
        ("demo", {"fullnameOverride": "shop"}, "shop-web"),
    ],
    ids=["release", "same", "contained", "name", "full-name"],
)
def test_objects_are_named_after_the_release(release: str, values: dict[str, Any], name: str) -> None:
    assert render(values, release=release).has("Deployment", name)


@pytest.mark.parametrize(
    ("values", "image"),
    [
        ({"image": {"tag": "1.2.3"}}, "marketplace:1.2.3"),
        ({"image": {"registry": "r.example.com", "repository": "shop/m", "tag": "1"}}, "r.example.com/shop/m:1"),
        ({"image": {"digest": _DIGEST, "tag": "1"}}, f"marketplace@{_DIGEST}"),
        ({"image": {"tag": "1"}, "global": {"imageRegistry": "mirror"}}, "mirror/marketplace:1"),
    ],
    ids=["tag", "registry", "digest", "global"],
)
def test_one_image_of_the_product_everywhere(values: dict[str, Any], image: str) -> None:
    found = render(values)
    ours = [*found.of("Deployment"), *found.of("Job"), found.one("Pod")]
    assert {container(each)["image"] for each in ours} == {image}


def test_secrets_for_pulling_are_names_or_objects_and_come_once() -> None:
    values = {"global": {"imagePullSecrets": ["one", {"name": "two"}]}, "image": {"pullSecrets": ["two", "three"]}}
    found = pod_spec(render(values).one("Deployment", "demo-marketplace-web"))["imagePullSecrets"]
    assert found == [{"name": "one"}, {"name": "two"}, {"name": "three"}]


@pytest.mark.parametrize(
    ("role", "port", "target"),
    [
        ("web", 8000, "http"),
        ("worker", 9101, "metrics"),
        ("quarantine", 9101, "metrics"),
        ("scheduler", 9102, "metrics"),
        ("relay", 8200, "http"),
    ],
)
def test_prometheus_finds_every_pod_by_a_name_of_its_own(role: str, port: int, target: str) -> None:
    service = render().one("Service", f"demo-marketplace-{role}-metrics")["spec"]
    assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)
    assert [(entry["port"], entry["targetPort"]) for entry in service["ports"]] == [(port, target)]
    deployment = render().one("Deployment", f"demo-marketplace-{role}")
    assert service["selector"] == deployment["spec"]["selector"]["matchLabels"]


def test_services_for_people_can_be_changed() -> None:
    service = {"type": "LoadBalancer", "port": 80, "annotations": {"scheme": "internal"}}
    found = render({"web": {"service": service}}).one("Service", "demo-marketplace-web")
    assert (found["spec"]["type"], found["spec"]["ports"][0]["port"]) == ("LoadBalancer", 80)
    assert found["metadata"]["annotations"]["scheme"] == "internal"


@pytest.mark.parametrize(("role", "port"), [("web", 8000), ("relay", 8200)])
def test_an_ingress_leads_every_host_to_the_service(role: str, port: int) -> None:
    ingress = {
        "enabled": True,
        "className": "nginx",
        "annotations": {"size": "5m"},
        "hosts": ["a.example.com", "b.example.com"],
        "tls": [{"hosts": ["a.example.com"], "secretName": "tls"}],
    }
    found = render({role: {"ingress": ingress}}).one("Ingress")
    assert [rule["host"] for rule in found["spec"]["rules"]] == ingress["hosts"]
    backend = {"service": {"name": f"demo-marketplace-{role}", "port": {"number": port}}}
    assert all(rule["http"]["paths"][0]["backend"] == backend for rule in found["spec"]["rules"])
    assert (found["spec"]["ingressClassName"], found["spec"]["tls"]) == ("nginx", ingress["tls"])
    assert found["metadata"]["annotations"] == {"size": "5m"}


def test_an_ingress_of_a_relay_that_is_off_is_refused() -> None:
    relay = {"enabled": False, "ingress": {"enabled": True, "hosts": ["r.example.com"]}}
    assert "relay.ingress.enabled: needs relay.enabled" in refused({"relay": relay})


@pytest.mark.parametrize(
    ("account", "name", "made"),
    [
        ({}, "demo-marketplace", True),
        ({"name": "own"}, "own", True),
        ({"create": False}, "default", False),
        ({"create": False, "name": "given"}, "given", False),
    ],
    ids=["default", "named", "none", "given"],
)
def test_the_service_account_has_no_token(account: dict[str, Any], name: str, *, made: bool) -> None:
    found = render({"serviceAccount": account})
    assert pod_spec(found.one("Deployment", "demo-marketplace-web"))["serviceAccountName"] == name
    assert [each["automountServiceAccountToken"] for each in found.of("ServiceAccount")] == [False] * made


def test_helm_test_runs_a_job_and_reads_the_metrics_of_whoever_may_run_it() -> None:
    pod = render().one("Pod", "demo-marketplace-test")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    arguments = container(pod)["args"]
    assert arguments[0] == "verify"
    assert [argument.partition("-metrics.")[0].rpartition("-")[2] for argument in arguments[2:]] == [
        "web",
        "worker",
        "scheduler",
    ]
    assert env(pod)["MARKETPLACE_URL"] == "http://demo-marketplace-web.ops.svc:8000"
    assert render({"tests": {"enabled": False}}).of("Pod") == ()


def test_the_chart_is_made_for_the_version_of_the_product() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == project["project"]["version"]
    assert chart["kubeVersion"] == ">=1.27.0-0"


def _notes(*settings: str) -> str:
    # Helm 3 wants a cluster even for this.
    options = [f"--set={setting}" for setting in settings]
    found = run_helm("4", "install", "demo", CHART, "--namespace=ops", "--dry-run=client", *options)
    assert found.returncode == 0, found.stderr
    return found.stdout.partition("NOTES:")[2]


def test_what_helm_prints_names_objects_and_keys_that_exist() -> None:
    notes = _notes()
    named = re.findall(r"(service|deployment|secret)[/ ](demo-\S+)", notes)
    assert len(named) >= 6
    rendered = render()
    assert all(rendered.has(kind.capitalize(), name) for kind, name in named)
    keys = re.findall(r'get secret (\S+) -o go-template=\'{{index .data "(\S+)" \| base64decode}}\'', notes)
    assert len(keys) == 2
    assert all(key in rendered.one("Secret", name)["data"] for name, key in keys)


def test_what_helm_prints_says_what_is_not_set_up() -> None:
    assert all(words in _notes() for words in ("relay.slack.existingSecret", "agents.items", "externalDatabase"))
    notes = _notes("demo.enabled=true", "monitoring.operator.enabled=true", "monitoring.operator.labels.release=kps")
    assert 'this release gives the labels {"release":"kps"}' in notes
    assert "serviceMonitorSelector" in notes
    assert "agents.items" not in notes


def test_what_helm_prints_asks_for_the_grafana_that_messages_link_to() -> None:
    assert "urls.grafana" not in _notes()
    assert "urls.grafana" in _notes("grafana.enabled=false")
    assert "urls.grafana" not in _notes("grafana.enabled=false", "urls.grafana=https://grafana.example.com")


def test_the_token_of_helm_test_is_not_to_be_revoked() -> None:
    assert "revoke this one" not in _notes()
    assert "revoke this one" in _notes("tests.enabled=false")
