"""What Prometheus and Alertmanager of the compose file read, as promtool and amtool see it."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from app.settings.monitoring import MonitoringSettings
from deploy.compose.observing import COMPOSE_FILES, ENVIRONMENT
from monitoring.scraping import METRICS_PATHS
from tests.compose.compose_file import ROOT, compose, mounts, service
from tests.prometheus_tools import amtool, promtool


def _mounted(name: str, folder: Path) -> Path:
    """Return a folder with the files that a service mounts, under the names that they have there."""
    for source, target in mounts(name):
        shutil.copyfile(source, folder / Path(target).name)
    return folder


def test_prometheus_takes_exactly_what_is_mounted(tmp_path: Path) -> None:
    checked = promtool("check", "config", _mounted("prometheus", tmp_path) / "prometheus.yml")
    assert checked.returncode == 0, checked.stderr
    assert "2 rule files found" in checked.stdout


def test_alertmanager_takes_exactly_what_is_mounted(tmp_path: Path) -> None:
    checked = amtool("check-config", _mounted("alertmanager", tmp_path) / "alertmanager.yml")
    assert checked.returncode == 0, checked.stderr


def test_every_job_is_scraped_at_a_service_that_exists_and_on_its_port() -> None:
    config = yaml.safe_load(COMPOSE_FILES["deploy/compose/prometheus.yml"]())
    scrapes = {scrape["job_name"]: scrape for scrape in config["scrape_configs"]}
    assert set(scrapes) == set(METRICS_PATHS)
    places = {
        *(target for one in scrapes.values() for part in one.get("static_configs", []) for target in part["targets"]),
        *(
            f"{name}:{part['port']}"
            for one in scrapes.values()
            for part in one.get("dns_sd_configs", [])
            for name in part["names"]
        ),
    }
    ports = {
        "web": "WEB__PORT",
        "worker": "WORKER__METRICS_PORT",
        "quarantine": "WORKER__METRICS_PORT",
        "scheduler": "SCHEDULER__METRICS_PORT",
        "relay": "RELAY__PORT",
    }
    own = {f"{name}:{service(name)['environment'][f'MARKETPLACE_{port}']}" for name, port in ports.items()}
    assert places == {*own, "127.0.0.1:9090", "alertmanager:9093"}


def test_workers_are_found_by_name_however_many_there_are() -> None:
    config = yaml.safe_load(COMPOSE_FILES["deploy/compose/prometheus.yml"]())
    by_name = {scrape["job_name"] for scrape in config["scrape_configs"] if "dns_sd_configs" in scrape}
    assert by_name == {"marketplace-worker", "marketplace-scheduler"}
    for name in ("worker", "quarantine", "scheduler"):
        assert not {"container_name", "ports", "hostname"} & set(service(name))


def test_series_and_events_have_the_same_environment() -> None:
    assert MonitoringSettings().environment != ENVIRONMENT
    for name in ("web", "worker", "quarantine", "scheduler", "relay"):
        assert service(name)["environment"]["MARKETPLACE_MONITORING__ENVIRONMENT"] == ENVIRONMENT


def test_alertmanager_shows_the_relay_the_token_of_the_relay() -> None:
    config = yaml.safe_load(COMPOSE_FILES["deploy/compose/alertmanager.yml"]())
    [webhook] = next(one for one in config["receivers"] if one["name"] == "relay")["webhook_configs"]
    shown = webhook["http_config"]["authorization"]["credentials_file"]
    assert shown == service("relay")["environment"]["MARKETPLACE_RELAY__ALERTMANAGER_TOKEN_FILE"]
    assert Path(shown).name in service("alertmanager")["secrets"]
    assert webhook["url"] == "http://relay:8200/alerts"


def test_every_generated_file_is_mounted_somewhere() -> None:
    mounted = {source for name in compose()["services"] for source, _ in mounts(name)}
    assert {ROOT / name for name in COMPOSE_FILES} - mounted == {ROOT / "deploy/compose/demo-agents.yaml"}
