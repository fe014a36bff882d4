"""The bundled Alertmanager: what it mounts is what amtool has judged, and routes are those of the product."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerting.alertmanager import RECEIVER, SECOND_RECEIVER, alertmanager_config
from alerting.inhibitions import INHIBITIONS
from app.domain.alerts import ALERTS, RELAY_BACKLOG, RELAY_DEGRADED, Alert
from app.settings.monitoring import MonitoringSettings
from deploy.artifacts.chart_files import SECOND_WEBHOOK_FILE, TOKEN_FILE
from tests.alert_routes import receivers_of
from tests.chart.manifest_files import container, mounts, volumes
from tests.chart.monitoring_cases import config_map
from tests.chart.rendering import refused, render
from tests.prometheus_tools import amtool

_NAME = "demo-marketplace-alertmanager"
_RELAY_URL = "http://demo-marketplace-relay.ops.svc:8200/alerts"
_EMAIL = {"to": "oncall@example.com", "from": "alerts@example.com", "smarthost": "mail.example.com:587", "tls": False}
_PAGER = {"existingSecret": "pager", "key": "webhook"}

_MAIL_SETTINGS = MonitoringSettings(
    email_to="oncall@example.com",
    email_from="alerts@example.com",
    email_smarthost="mail.example.com:587",
    email_tls=False,
)

#: Values, and the configuration that they stand for.
_CASES: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "defaults": ({}, alertmanager_config(_RELAY_URL, TOKEN_FILE)),
    "no relay": ({"relay": {"enabled": False}}, {**alertmanager_config(None)}),
    "mail": ({"alertmanager": {"email": _EMAIL}}, alertmanager_config(_RELAY_URL, TOKEN_FILE, _MAIL_SETTINGS)),
    "webhook": (
        {"alertmanager": {"secondWebhook": _PAGER}},
        alertmanager_config(_RELAY_URL, TOKEN_FILE, second_webhook_file=SECOND_WEBHOOK_FILE),
    ),
    "both": (
        {"alertmanager": {"email": _EMAIL, "secondWebhook": _PAGER}},
        alertmanager_config(_RELAY_URL, TOKEN_FILE, _MAIL_SETTINGS, second_webhook_file=SECOND_WEBHOOK_FILE),
    ),
}


def _text(values: Mapping[str, Any]) -> str:
    return config_map(render(values), "alertmanager")["alertmanager.yml"]


def _written(values: Mapping[str, Any], folder: Path) -> Path:
    """Write the configuration as this amtool reads it: `url_file` came with Alertmanager 0.26, Debian has 0.25."""
    path = folder / "alertmanager.yml"
    text = _text(values).replace(f"url_file: {SECOND_WEBHOOK_FILE}", "url: https://pager.example/hook")
    path.write_text(text, encoding="utf-8")
    return path


def _without_empty_lists(config: Mapping[str, Any]) -> Mapping[str, Any]:
    receivers = [{key: value for key, value in receiver.items() if value} for receiver in config["receivers"]]
    return {**config, "receivers": receivers}


@pytest.mark.parametrize(("values", "wanted"), _CASES.values(), ids=_CASES)
def test_what_is_mounted_is_the_configuration_of_the_product(
    values: Mapping[str, Any], wanted: Mapping[str, Any]
) -> None:
    assert yaml.safe_load(_text(values)) == _without_empty_lists(wanted)


@pytest.mark.parametrize("values", [values for values, _ in _CASES.values()], ids=_CASES)
def test_amtool_accepts_what_is_mounted(values: Mapping[str, Any], tmp_path: Path) -> None:
    result = amtool("check-config", _written(values, tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(INHIBITIONS)} inhibit rules" in result.stdout


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_goes_to_the_relay(alert: Alert, tmp_path: Path) -> None:
    ways = receivers_of(alert, _written(_CASES["both"][0], tmp_path))
    assert ways == ([SECOND_RECEIVER, RECEIVER] if alert in {RELAY_DEGRADED, RELAY_BACKLOG} else [RECEIVER])


def test_the_files_that_it_names_are_the_secrets_that_it_mounts() -> None:
    found = render(_CASES["both"][0]).one("StatefulSet", _NAME)
    secrets = {}
    for path, mount in mounts(found).items():
        secret = volumes(found).get(mount["name"], {}).get("secret", {})
        for item in secret.get("items", ()):
            secrets[f"{path}/{item['path']}"] = (secret["secretName"], item["key"])
    assert secrets == {
        str(TOKEN_FILE): ("demo-marketplace-auth", "alertmanager-token"),
        str(SECOND_WEBHOOK_FILE): ("pager", "webhook"),
    }


def test_the_token_is_that_which_the_relay_expects() -> None:
    rendered = render({"auth": {"existingSecret": "ours", "alertmanagerTokenKey": "am"}})
    shown = volumes(rendered.one("StatefulSet", _NAME))["relay"]["secret"]
    expected = volumes(rendered.one("Deployment", "demo-marketplace-relay"))["auth"]["secret"]
    assert shown["secretName"] == expected["secretName"] == "ours"
    assert [item["key"] for item in shown["items"]] == ["am"]
    assert "am" in [item["key"] for item in expected["items"]]


def test_it_mounts_no_secret_that_it_does_not_need() -> None:
    found = render({"relay": {"enabled": False}}).one("StatefulSet", _NAME)
    assert [name for name, volume in volumes(found).items() if "secret" in volume] == []


def test_it_looks_for_no_others() -> None:
    assert "--cluster.listen-address=" in container(render().one("StatefulSet", _NAME))["args"]


def test_mail_without_a_server_is_refused() -> None:
    message = refused({"alertmanager": {"email": {"to": "oncall@example.com"}}})
    assert "alertmanager.email.smarthost" in message


def test_a_changed_route_restarts_it() -> None:
    def checksum(values: Mapping[str, Any]) -> str:
        annotations = render(values).one("StatefulSet", _NAME)["spec"]["template"]["metadata"]["annotations"]
        return str(annotations["checksum/config"])

    assert checksum(_CASES["mail"][0]) != checksum({})
