"""The roles: one image, one template, and what tells them apart."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerting.relay import check_settings
from app.settings import known_names, load_settings
from deploy.tools.places import Major
from tests.chart.helm_cli import CHART, MAJORS
from tests.chart.manifest_files import Object, container, env, mounts, pod_spec, pod_template, volumes
from tests.chart.rendering import render

ROLES = ("web", "worker", "quarantine", "scheduler", "relay")
_PIPELINE = ROLES[:-1]
_ALERTS_ELSEWHERE = {"alertmanager": {"enabled": False}}


def _role(name: str, values: Mapping[str, Any] | None = None, **options: Any) -> Object:
    return render(values, **options).one("Deployment", f"demo-marketplace-{name}")


def _config(values: Mapping[str, Any] | None = None) -> dict[str, str]:
    data: dict[str, str] = render(values).one("ConfigMap", "demo-marketplace-config")["data"]
    return data


@pytest.mark.parametrize("helm", MAJORS)
@pytest.mark.parametrize(
    ("role", "arguments", "port"),
    [
        ("web", ["web"], 8000),
        ("worker", ["worker"], 9101),
        ("quarantine", ["worker", "--quarantine"], 9101),
        ("scheduler", ["scheduler"], 9102),
        ("relay", ["relay"], 8200),
    ],
)
def test_every_role_runs_one_command_of_one_image(role: str, arguments: list[str], port: int, helm: Major) -> None:
    found = container(_role(role, helm=helm))
    assert found["args"] == arguments
    assert "command" not in found
    assert [entry["containerPort"] for entry in found["ports"]] == [port]
    version = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["appVersion"]
    assert found["image"] == f"marketplace:{version}"


@pytest.mark.parametrize("role", ROLES[1:])
def test_a_role_can_be_left_out_with_its_services(role: str) -> None:
    found = render({role: {"enabled": False}} | (_ALERTS_ELSEWHERE if role == "relay" else {}))
    assert not found.has("Deployment", f"demo-marketplace-{role}")
    assert not any(name.startswith(f"demo-marketplace-{role}") for name in found.names("Service"))


@pytest.mark.parametrize(
    ("values"),
    [{}, {"demo": {"enabled": True}}, {"relay": {"enabled": False}} | _ALERTS_ELSEWHERE],
    ids=["default", "demo", "no-relay"],
)
@pytest.mark.parametrize("role", ROLES)
def test_the_product_takes_the_settings_of_every_role(
    role: str, values: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = render(values)
    if not rendered.has("Deployment", f"demo-marketplace-{role}"):
        return
    for name in [name for name in os.environ if name.startswith("MARKETPLACE_")]:
        monkeypatch.delenv(name)
    given = _config(values) | env(_role(role, values))
    for name, value in given.items():
        if name.endswith("_FILE") and name not in known_names():
            place = tmp_path / name
            place.write_text("whsec_" + "a" * 44 if "EVENTS" in name else "mp_" + "a" * 43, encoding="ascii")
            monkeypatch.setenv(name, str(place))
        else:
            monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.monitoring.environment == "production"
    if role == "relay":
        check_settings(settings.relay)


def test_variables_of_services_are_not_taken_for_settings() -> None:
    # A service called marketplace-web would give its neighbours MARKETPLACE_WEB_PORT, which is no setting of ours.
    assert {pod_spec(_role(role))["enableServiceLinks"] for role in ROLES} == {False}


@pytest.mark.parametrize(
    ("role", "files"),
    [
        ("web", {"admin-token", "relay-events-secret"}),
        ("worker", {"relay-events-secret"}),
        ("quarantine", {"relay-events-secret"}),
        ("scheduler", {"relay-events-secret"}),
        ("relay", {"relay-events-secret", "alertmanager-token"}),
    ],
)
def test_a_role_reads_the_secrets_that_it_needs_and_no_other(role: str, files: set[str]) -> None:
    items = volumes(_role(role))["auth"]["secret"]["items"]
    assert {item["path"] for item in items} == files


def test_secrets_can_be_read_by_the_group_of_the_pod_only() -> None:
    found = [volume["secret"] for role in ROLES for volume in volumes(_role(role)).values() if "secret" in volume]
    assert {secret["defaultMode"] for secret in found} == {0o440}


@pytest.mark.parametrize("role", ROLES)
def test_only_temporary_files_can_be_written_but_for_the_relays_outbox(role: str) -> None:
    writable = {path for path, mount in mounts(_role(role)).items() if not mount.get("readOnly")}
    assert writable == ({"/tmp", "/data"} if role == "relay" else {"/tmp"})


@pytest.mark.parametrize("role", ROLES)
def test_variables_of_the_user_win_and_those_of_the_role_win_over_all(role: str) -> None:
    values = {
        "extraEnv": [{"name": "HOME", "value": "/all"}, {"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        role: {"extraEnv": [{"name": "HOME", "value": f"/{role}"}, {"name": "LIMIT", "value": 5000000}]},
    }
    found = env(_role(role, values))
    assert (found["HOME"], found["HTTPS_PROXY"]) == (f"/{role}", "http://proxy:3128")
    assert found["LIMIT"] == "5000000"


def test_volumes_of_the_user_reach_every_role_or_one() -> None:
    ca = {"name": "ca", "configMap": {"name": "company-ca"}}
    models = {"name": "models", "emptyDir": {}}
    values = {
        "extraVolumes": [ca],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca", "readOnly": True}],
        "worker": {"extraVolumes": [models], "extraVolumeMounts": [{"name": "models", "mountPath": "/models"}]},
    }
    assert all("/ca" in mounts(_role(role, values)) and "ca" in volumes(_role(role, values)) for role in ROLES)
    assert ["/models" in mounts(_role(role, values)) for role in ROLES] == [False, True, False, False, False]


def test_sources_of_variables_follow_the_configuration() -> None:
    found = container(_role("worker", {"extraEnvFrom": [{"secretRef": {"name": "keys-of-agents"}}]}))["envFrom"]
    assert found == [{"configMapRef": {"name": "demo-marketplace-config"}}, {"secretRef": {"name": "keys-of-agents"}}]


@pytest.mark.parametrize("role", ROLES)
def test_pods_spread_over_zones_and_nodes_by_themselves(role: str) -> None:
    found = pod_spec(_role(role))["topologySpreadConstraints"]
    assert [entry["topologyKey"] for entry in found] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert {entry["whenUnsatisfiable"] for entry in found} == {"ScheduleAnyway"}
    own = _role(role)["spec"]["selector"]
    assert all(entry["labelSelector"] == own for entry in found)


def test_a_spread_of_the_user_gets_the_roles_selector() -> None:
    given = {"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}
    found = _role("worker", {"worker": {"topologySpreadConstraints": [given]}})
    assert pod_spec(found)["topologySpreadConstraints"] == [given | {"labelSelector": found["spec"]["selector"]}]


def test_pods_can_be_placed_named_and_ranked() -> None:
    given = {
        "nodeSelector": {"pool": "jobs"},
        "tolerations": [{"key": "jobs", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "high",
    }
    values = {
        "worker": given | {"podLabels": {"team": "shop"}, "podAnnotations": {"note": "own"}},
        "podAnnotations": {"note": "all"},
        "commonLabels": {"cost": "7"},
    }
    found = _role("worker", values)
    assert {key: pod_spec(found)[key] for key in given} == given
    template = pod_template(found)
    assert template is not None
    assert template["metadata"]["annotations"]["note"] == "own"
    assert {"team": "shop", "cost": "7"}.items() <= template["metadata"]["labels"].items()
    assert found["metadata"]["labels"]["cost"] == "7"


def test_no_pod_goes_before_its_successor_is_ready_and_two_relays_never_run_at_once() -> None:
    assert {_role(role)["spec"]["strategy"]["type"] for role in _PIPELINE} == {"RollingUpdate"}
    assert {_role(role)["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] for role in _PIPELINE} == {0}
    assert _role("relay")["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize("role", ROLES)
def test_a_change_of_the_configuration_restarts_every_role(role: str) -> None:
    changed = {"settings": {"MARKETPLACE_LOG__LEVEL": "DEBUG"}}
    assert _annotation(role, "config") != _annotation(role, "config", changed)
    assert _annotation(role, "config") == _annotation(role, "config", {"web": {"replicas": 5}})


def test_a_change_of_the_agents_restarts_who_reads_them() -> None:
    agents = {"agents": {"items": [{"name": "a", "channel": "amazon", "url": "https://a.example/v1", "model": "m"}]}}
    assert all(_annotation(role, "agents") != _annotation(role, "agents", agents) for role in _PIPELINE)
    assert _annotation("relay", "agents", agents) is None


def test_secrets_that_the_chart_makes_restart_nothing() -> None:
    # They are other ones in each render without a cluster.
    first, again = (_annotation("web", "secrets", {"commonLabels": {"n": n}}) for n in "12")
    assert first == again


@pytest.mark.parametrize("role", ROLES)
def test_probes_ask_for_life_and_for_readiness(role: str) -> None:
    found = container(_role(role))
    paths = {kind: found[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    live, ready = {
        "web": ("/api/health/live", "/api/health/ready"),
        "relay": ("/health/live", "/health/ready"),
    }.get(role, ("/live", "/ready"))
    assert paths == {"startup": live, "liveness": live, "readiness": ready}
    first = found["startupProbe"]
    assert first["periodSeconds"] * first["failureThreshold"] >= 60


def test_probes_can_be_tuned_and_turned_off() -> None:
    probes = {"liveness": {"failureThreshold": 9, "initialDelaySeconds": 7}, "startup": {"enabled": False}}
    found = container(_role("scheduler", {"scheduler": {"probes": probes}}))
    assert (found["livenessProbe"]["failureThreshold"], found["livenessProbe"]["initialDelaySeconds"]) == (9, 7)
    assert "startupProbe" not in found
    assert "enabled" not in found["livenessProbe"]


def test_the_relays_outbox_is_a_claim_that_outlives_the_release() -> None:
    claim = render().one("PersistentVolumeClaim", "demo-marketplace-relay")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert volumes(_role("relay"))["data"]["persistentVolumeClaim"] == {"claimName": "demo-marketplace-relay"}
    assert env(_role("relay"))["MARKETPLACE_RELAY__FILE"].startswith("/data/")


@pytest.mark.parametrize(
    ("persistence", "volume"),
    [
        ({"enabled": False}, {"emptyDir": {}}),
        ({"existingClaim": "outbox"}, {"persistentVolumeClaim": {"claimName": "outbox"}}),
    ],
    ids=["none", "existing"],
)
def test_the_relays_outbox_may_be_elsewhere(persistence: dict[str, Any], volume: Object) -> None:
    values = {"relay": {"persistence": persistence}}
    assert volumes(_role("relay", values))["data"] == {"name": "data"} | volume
    assert not render(values).has("PersistentVolumeClaim", "demo-marketplace-relay")


@pytest.mark.parametrize(
    ("given", "expected"), [("", "fast"), ("slow", "slow"), ("-", "")], ids=["global", "own", "none"]
)
def test_the_storage_class_of_a_claim(given: str, expected: str) -> None:
    values = {"global": {"storageClass": "fast"}, "relay": {"persistence": {"storageClass": given}}}
    claim = render(values).one("PersistentVolumeClaim", "demo-marketplace-relay")
    assert claim["spec"]["storageClassName"] == expected


def test_slack_and_the_second_webhook_are_read_from_files() -> None:
    slack = {"existingSecret": "slack", "webhookUrlKey": "hook", "botTokenKey": "bot", "channel": "C0ALERTS"}
    relay = {"slack": slack, "secondWebhook": {"existingSecret": "pager"}, "mentions": ["here", "U012AB3CD"]}
    found = _role("relay", {"relay": relay})
    given = env(found)
    assert given["MARKETPLACE_RELAY__SLACK_WEBHOOK_URL_FILE"] == "/etc/marketplace/slack/webhook-url"
    assert given["MARKETPLACE_RELAY__SLACK_BOT_TOKEN_FILE"] == "/etc/marketplace/slack/bot-token"
    assert given["MARKETPLACE_RELAY__SLACK_CHANNEL"] == "C0ALERTS"
    assert given["MARKETPLACE_RELAY__SECOND_URL_FILE"] == "/etc/marketplace/second-webhook/url"
    assert given["MARKETPLACE_RELAY__MENTIONS"] == "here,U012AB3CD"
    assert {item["key"] for item in volumes(found)["slack"]["secret"]["items"]} == {"hook", "bot"}


def test_without_an_alertmanager_the_relay_waits_for_none() -> None:
    found = env(_role("relay", _ALERTS_ELSEWHERE))
    assert "MARKETPLACE_RELAY__ALERTMANAGER_TOKEN_FILE" not in found
    assert "MARKETPLACE_RELAY__ALERTMANAGER_URL" not in _config(_ALERTS_ELSEWHERE)


def test_the_configuration_names_settings_of_the_product_and_no_secret() -> None:
    secrets = json.loads((CHART / "files" / "settings.json").read_text(encoding="utf-8"))
    assert {name: secrets[name] for name in _config()} == dict.fromkeys(_config(), False)


def test_settings_are_written_as_text_without_an_exponent() -> None:
    given = {
        "MARKETPLACE_WEB__MAX_UPLOAD_BYTES": 50000000,
        "MARKETPLACE_REDIS__FAIL_FAST_TIMEOUT_SECONDS": 0.05,
        "MARKETPLACE_JOBS__RETRY_DELAYS_SECONDS": "1,5,30",
        "MARKETPLACE_REDIS__TLS_CHECK_HOSTNAME": False,
    }
    found = _config({"settings": given})
    assert [found[name] for name in given] == ["50000000", "0.05", "1,5,30", "false"]


def test_addresses_in_messages_are_those_of_ingresses_or_of_the_values() -> None:
    ingress = {"enabled": True, "hosts": ["shop.example.com"], "tls": [{"secretName": "tls"}]}
    found = _config({"web": {"ingress": ingress}, "urls": {"grafana": "https://g.example.com/"}})
    assert found["MARKETPLACE_RELAY__WEB_URL"] == "https://shop.example.com"
    assert found["MARKETPLACE_MONITORING__RUNBOOK_URL"] == "https://shop.example.com/runbooks"
    assert found["MARKETPLACE_MONITORING__GRAFANA_URL"] == "https://g.example.com"
    assert _config()["MARKETPLACE_RELAY__WEB_URL"] == "http://demo-marketplace-web.ops.svc:8000"


def _annotation(role: str, name: str, values: Mapping[str, Any] | None = None) -> str | None:
    template = pod_template(_role(role, values))
    assert template is not None
    found: str | None = template["metadata"]["annotations"].get(f"checksum/{name}")
    return found
