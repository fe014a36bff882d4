"""The bundled Grafana, and dashboards for one elsewhere: what is mounted has passed the gates of the dashboards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from app.settings.monitoring import MonitoringSettings
from monitoring.dashboards import DASHBOARDS
from monitoring.provisioning import DASHBOARDS_FOLDER, dashboard_providers, datasources
from tests.artifacts.dashboard_lint import lint
from tests.artifacts.grafana_schema import lost_keys
from tests.chart.helm_cli import CHART
from tests.chart.manifest_files import Object, env, mounts, volumes
from tests.chart.monitoring_cases import config_map
from tests.chart.rendering import Rendered, refused, render

_NAME = "demo-marketplace-grafana"
_GATED = CHART.parents[1] / "monitoring" / "grafana" / "dashboards"

#: Bytes of an object that the API server still takes.
_LARGEST_OBJECT = 1024 * 1024

#: Keys that Grafana reads and its models lack: tests/artifacts/test_dashboards_schema.py has the reasons.
_KNOWN = ("tagKeys", "titleFormat")

_SIDECAR = {"enabled": True, "label": "dashboard", "labelValue": "yes", "annotations": {"folder": "Shop"}}


def _boards(rendered: Rendered) -> dict[str, Object]:
    prefix = "demo-marketplace-dashboard-"
    found = {each["metadata"]["name"]: each for each in rendered.of("ConfigMap")}
    return {name.removeprefix(prefix): each for name, each in found.items() if name.startswith(prefix)}


def test_there_is_one_config_map_for_each_dashboard_and_none_is_too_large() -> None:
    boards = _boards(render())
    assert set(boards) == set(DASHBOARDS)
    assert all(len(json.dumps(board)) < _LARGEST_OBJECT / 4 for board in boards.values())


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_is_the_gated_one_byte_by_byte(name: str) -> None:
    assert _boards(render())[name]["data"] == {f"{name}.json": (_GATED / f"{name}.json").read_text(encoding="utf-8")}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_what_is_mounted_passes_the_gates(name: str) -> None:
    board = json.loads(_boards(render())[name]["data"][f"{name}.json"])
    assert lint(board) == []
    assert [key for key in lost_keys(board) if not key.endswith(_KNOWN)] == []


def test_every_dashboard_is_mounted_where_the_provider_looks() -> None:
    found = render().one("StatefulSet", _NAME)
    sources = volumes(found)[mounts(found)[DASHBOARDS_FOLDER]["name"]]["projected"]["sources"]
    assert [source["configMap"]["name"] for source in sources] == [
        f"demo-marketplace-dashboard-{name}" for name in sorted(DASHBOARDS)
    ]


@pytest.mark.parametrize("seconds", [5, 15])
def test_data_source_and_provider_are_those_of_the_product(seconds: int) -> None:
    files = config_map(render({"monitoring": {"scrapeSeconds": seconds}}), "grafana")
    wanted = datasources(MonitoringSettings(scrape_seconds=seconds))
    assert files["datasources.yaml"].replace("'", "") == wanted
    assert files["dashboards.yaml"] == dashboard_providers()


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, "http://demo-marketplace-prometheus.ops.svc:9090"),
        (
            {"prometheus": {"enabled": False}, "externalPrometheus": {"url": "https://p.example/"}},
            "https://p.example",
        ),
    ],
    ids=["bundled", "elsewhere"],
)
def test_its_data_come_from_the_prometheus_that_there_is(values: Mapping[str, Any], url: str) -> None:
    assert env(render(values).one("StatefulSet", _NAME))["PROMETHEUS_URL"] == url


@pytest.mark.parametrize(
    ("values", "secret"),
    [
        ({}, (_NAME, "password")),
        ({"grafana": {"existingSecret": "ours", "passwordKey": "admin"}}, ("ours", "admin")),
    ],
    ids=["made", "of the user"],
)
def test_its_password_is_a_file(values: Mapping[str, Any], secret: tuple[str, str]) -> None:
    rendered = render(values)
    found = rendered.one("StatefulSet", _NAME)
    variables = env(found)
    folder, _, name = variables["GF_SECURITY_ADMIN_PASSWORD__FILE"].rpartition("/")
    source = volumes(found)[mounts(found)[folder]["name"]]["secret"]
    assert (source["secretName"], source["items"]) == (secret[0], [{"key": secret[1], "path": name}])
    assert "GF_SECURITY_ADMIN_PASSWORD" not in variables
    assert rendered.has("Secret", _NAME) == (not values)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GF_ANALYTICS_REPORTING_ENABLED", "false"),
        ("GF_ANALYTICS_CHECK_FOR_UPDATES", "false"),
        ("GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES", "false"),
        ("GF_NEWS_NEWS_FEED_ENABLED", "false"),
        # Grafana would get plugins when it starts, write them to disk, and complain where it may not call out.
        ("GF_PLUGINS_PREINSTALL_DISABLED", "true"),
        ("GF_SECURITY_DISABLE_GRAVATAR", "true"),
    ],
)
def test_it_calls_nobody(variable: str, value: str) -> None:
    assert env(render().one("StatefulSet", _NAME))[variable] == value


def test_what_it_writes_to_is_a_volume() -> None:
    writable = {path for path, mount in mounts(render().one("StatefulSet", _NAME)).items() if not mount.get("readOnly")}
    assert writable == {"/tmp", "/var/lib/grafana"}
    assert env(render().one("StatefulSet", _NAME))["GF_LOG_MODE"] == "console"


def test_it_has_an_ingress_where_one_is_wanted() -> None:
    ingress = {"enabled": True, "className": "nginx", "hosts": ["grafana.example"]}
    rendered = render({"grafana": {"ingress": ingress}})
    found = rendered.one("Ingress", _NAME)["spec"]
    assert found["ingressClassName"] == "nginx"
    backend = found["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": _NAME, "port": {"number": 3000}}
    assert rendered.one("Service", _NAME)["spec"]["ports"][0]["port"] == 3000
    assert env(rendered.one("StatefulSet", _NAME))["GF_SERVER_ROOT_URL"] == "http://grafana.example"
    assert not render().has("Ingress", _NAME)


def test_it_is_refused_without_a_prometheus() -> None:
    assert "externalPrometheus.url" in refused({"prometheus": {"enabled": False}})


def test_dashboards_go_to_the_sidecar_of_another_grafana() -> None:
    values = {"grafana": {"enabled": False}, "monitoring": {"dashboards": {"sidecar": _SIDECAR}}}
    boards = _boards(render(values))
    assert set(boards) == set(DASHBOARDS)
    for board in boards.values():
        assert board["metadata"]["labels"]["dashboard"] == "yes"
        assert board["metadata"]["annotations"]["folder"] == "Shop"


def test_no_sidecar_finds_dashboards_that_are_not_meant_for_it() -> None:
    assert all("grafana_dashboard" not in board["metadata"]["labels"] for board in _boards(render()).values())


def test_dashboards_go_to_the_grafana_operator() -> None:
    by_operator = {"enabled": True, "instanceSelector": {"matchLabels": {"dashboards": "shop"}}}
    rendered = render({"monitoring": {"dashboards": {"grafanaOperator": by_operator}}})
    found = rendered.of("GrafanaDashboard")
    assert len(found) == len(DASHBOARDS)
    for board in found:
        read = board["spec"]["configMapRef"]
        assert read["key"] in rendered.one("ConfigMap", read["name"])["data"]
        assert board["spec"]["instanceSelector"] == by_operator["instanceSelector"]
