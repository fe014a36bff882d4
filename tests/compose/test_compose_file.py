"""What holds for every service of the compose file."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import click
import pytest
import yaml
from dotenv import dotenv_values

from app.agents.configuration import load_agents
from app.cli.main import marketplace
from app.settings import (
    AgentsSettings,
    RelaySettings,
    SchedulerSettings,
    WebhookSettings,
    WebSettings,
    WorkerSettings,
    known_names,
)
from deploy.artifacts.rule_documents import DEFAULTS
from deploy.compose.secret_files import SECRET_FILES
from monitoring.provisioning import DASHBOARDS_FOLDER
from monitoring.scraping import retention_argument
from tests.compose.compose_file import ROLES, ROOT, SERVERS, compose, compose_text, mounts, seconds, service, variables

_SERVICES = sorted(compose()["services"])
_every_service = pytest.mark.parametrize("name", _SERVICES)

#: Seconds beyond what a process takes to end: as in the chart.
_STOP_MARGIN_SECONDS = 15


def test_every_server_is_known_here() -> None:
    assert set(_SERVICES) == {*SERVERS, "migrate"}


@_every_service
def test_it_can_write_only_where_it_must_and_has_no_privilege(name: str) -> None:
    one = service(name)
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert not {"cap_add", "privileged", "pid", "ipc", "network_mode", "devices", "userns_mode"} & set(one)


@_every_service
def test_it_runs_as_a_user_without_a_name_and_not_as_root(name: str) -> None:
    user, group = service(name)["user"].split(":")
    assert int(user) > 0
    assert int(group) >= 0


@_every_service
def test_it_has_limits(name: str) -> None:
    one = service(name)
    assert re.fullmatch(r"\d+[mg]", one["mem_limit"])
    assert 0 < one["cpus"] <= 2
    assert 0 < one["pids_limit"] <= 256
    assert one["logging"]["options"] == {"max-size": "10m", "max-file": "3"}


@_every_service
def test_memory_that_looks_like_a_disk_is_limited_and_starts_no_program(name: str) -> None:
    for mount in service(name).get("tmpfs", []):
        assert {"noexec", "nosuid", "nodev"} <= set(mount.partition(":")[2].split(",")), mount
        assert "size=" in mount


@_every_service
def test_its_image_is_pinned_and_can_be_replaced(name: str) -> None:
    [line] = {line for line in re.findall(r"image: (.+)", compose_text()) if service(name)["image"] in line}
    assert re.fullmatch(r"\$\{[A-Z]+_IMAGE:-.+\}", line)
    tag = service(name)["image"].rpartition(":")[2]
    assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?(-[a-z]+)?", tag)


@_every_service
def test_every_port_is_on_loopback_and_can_be_chosen(name: str) -> None:
    for port in service(name).get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)
        inner = port.rpartition(":")[2]
        assert re.search(r'"127\.0\.0\.1:\$\{[A-Z]+_PORT:-\d+\}:' + inner + '"', compose_text())


def test_nobody_publishes_a_store() -> None:
    for name in ("valkey", "postgresql"):
        assert "ports" not in service(name)
        assert service(name)["networks"] == ["stores"]
    assert compose()["networks"]["stores"] == {"internal": True}


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_starts_again_and_tells_how_it_is(name: str) -> None:
    one = service(name)
    assert one["restart"] == "unless-stopped"
    check = one["healthcheck"]
    assert seconds(check["timeout"]) <= seconds(check["interval"])
    assert check["retries"] >= 3
    # Docker Compose 1.29 refuses it.
    assert "start_interval" not in check


def test_migrations_run_once_and_the_product_starts_after_them() -> None:
    assert service("migrate")["restart"] == "no"
    assert service("migrate")["depends_on"] == {"postgresql": {"condition": "service_healthy"}}
    for name in ROLES[:-1]:
        assert service(name)["depends_on"] == {
            "postgresql": {"condition": "service_healthy"},
            "valkey": {"condition": "service_healthy"},
            "migrate": {"condition": "service_completed_successfully"},
        }


@_every_service
def test_what_it_waits_for_can_be_healthy(name: str) -> None:
    for other, how in service(name).get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            assert "healthcheck" in service(other)


def test_the_product_gets_the_time_to_stop_that_it_has_in_the_chart() -> None:
    scheduler = max(SchedulerSettings().shutdown_grace_seconds, WebhookSettings().timeout_seconds)
    worker = WorkerSettings().shutdown_grace_seconds
    graces = {
        "web": WebSettings().graceful_timeout_seconds,
        "worker": worker,
        "quarantine": worker,
        "scheduler": scheduler,
        "relay": RelaySettings().slack_timeout_seconds,
    }
    assert {name: seconds(service(name)["stop_grace_period"]) for name in ROLES} == {
        name: grace + _STOP_MARGIN_SECONDS for name, grace in graces.items()
    }
    assert all("stop_grace_period" in service(name) for name in _SERVICES)


@pytest.mark.parametrize("name", [*ROLES, "migrate"])
def test_every_command_and_health_check_of_the_product_exists(name: str) -> None:
    for words in (service(name)["command"], service(name).get("healthcheck", {}).get("test", [])[2:]):
        command: click.Command = marketplace
        context = click.Context(marketplace)
        for position, word in enumerate(words):
            if not isinstance(command, click.Group):
                # Options and arguments: click itself judges them.
                command.make_context(word, list(words[position:]))
                break
            found = command.get_command(context, word)
            assert found is not None, words
            command = found


@_every_service
def test_every_other_health_check_is_a_program_and_no_download(name: str) -> None:
    _, program, *arguments = service(name).get("healthcheck", {}).get("test", [None, "marketplace"])
    assert program in {"marketplace", "sh", "pg_isready", "promtool", "amtool", "wget", "python"}
    if program == "python":
        ast.parse(arguments[-1])
    if program == "sh":
        assert ROOT.joinpath("deploy/compose/valkey", Path(arguments[0]).name).is_file()


@pytest.mark.parametrize("script", ["start.sh", "ready.sh"])
def test_the_scripts_of_valkey_are_sound(script: str) -> None:
    checked = subprocess.run(
        ["sh", "-n", ROOT / "deploy/compose/valkey" / script], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("script", ["start.sh", "ready.sh"])
def test_the_scripts_of_valkey_are_those_of_the_chart_with_another_place_of_the_password(script: str) -> None:
    of_chart = (ROOT / "helm/marketplace/scripts/valkey" / script).read_text(encoding="utf-8")
    here = (ROOT / "deploy/compose/valkey" / script).read_text(encoding="utf-8")
    assert here == of_chart.replace("/etc/valkey-password/password", "/run/secrets/valkey-password")


@_every_service
def test_every_mounted_file_is_there_and_cannot_be_written(name: str) -> None:
    for source, _ in mounts(name):
        assert source.exists(), source
        assert source.is_relative_to(ROOT)


@_every_service
def test_every_file_of_settings_is_there_and_names_settings(name: str) -> None:
    for file in service(name).get("env_file", []):
        path = ROOT / "deploy" / file
        assert set(dotenv_values(path)) <= set(known_names())
        commented = re.findall(r"^# (MARKETPLACE_\w+)=", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert {setting.removesuffix("_FILE") for setting in commented} <= set(known_names())


@_every_service
def test_every_setting_is_known_and_none_is_a_credential(name: str) -> None:
    for variable, value in service(name).get("environment", {}).items():
        if variable.startswith("MARKETPLACE_"):
            assert {variable, variable.removesuffix("_FILE")} & set(known_names())
        if re.search("PASSWORD|SECRET|TOKEN", variable):
            assert variable.endswith("_FILE")
            secret = Path(value)
            assert secret.parent == Path("/run/secrets")
            assert secret.name in service(name)["secrets"]
        assert not re.search(r"://[^/@]*:[^/@]+@", str(value)), "a password in a URL"


def test_every_secret_is_one_of_those_that_the_command_makes_and_is_used() -> None:
    files = {name: secret["file"] for name, secret in compose()["secrets"].items()}
    assert files == {name: f"./secrets/{name}" for name in SECRET_FILES}
    assert {secret for name in _SERVICES for secret in service(name).get("secrets", [])} == set(files)


def test_a_process_gets_no_secret_that_it_does_not_need() -> None:
    assert {name for name in _SERVICES if "admin-token" in service(name).get("secrets", [])} == {"web"}
    assert set(service("relay")["secrets"]) == {"relay-events-secret", "alertmanager-token", "slack-webhook-url"}
    assert service("migrate")["secrets"] == ["postgresql-password"]


def test_every_volume_is_used_once() -> None:
    used = [
        source
        for name in _SERVICES
        for source, *_ in (volume.split(":") for volume in service(name).get("volumes", []))
        if not source.startswith(".")
    ]
    assert sorted(used) == sorted(compose()["volumes"])


def test_the_example_of_the_demo_sets_variables_that_the_file_reads() -> None:
    demo = dotenv_values(ROOT / "deploy/compose/demo.env")
    assert set(demo) - set(variables()) == {"COMPOSE_PROFILES"}
    for name, value in demo.items():
        if name != "COMPOSE_PROFILES":
            assert (ROOT / "deploy" / str(value)).is_file()


@pytest.mark.parametrize(("file", "count"), [("agents.yaml", 0), ("demo-agents.yaml", 6)])
def test_the_lists_of_agents_are_those_that_the_product_reads(file: str, count: int) -> None:
    assert len(load_agents(AgentsSettings(file=ROOT / "deploy/compose" / file))) == count


def test_grafana_finds_its_dashboards_and_prometheus_keeps_what_the_rules_need() -> None:
    targets = {target: source for source, target in mounts("grafana")}
    assert list(targets[DASHBOARDS_FOLDER].glob("*.json"))
    assert service("grafana")["environment"]["PROMETHEUS_URL"] == "http://prometheus:9090"
    assert retention_argument(DEFAULTS) in service("prometheus")["command"]


def test_the_servers_are_those_of_the_chart() -> None:
    values = yaml.safe_load((ROOT / "helm/marketplace/values.yaml").read_text(encoding="utf-8"))
    for name in ("valkey", "postgresql", "prometheus", "alertmanager", "grafana"):
        image = values[name]["image"]
        given, _, tag = service(name)["image"].rpartition(":")
        assert given == f"{image['registry']}/{image['repository']}"
        assert tag == image["tag"]
