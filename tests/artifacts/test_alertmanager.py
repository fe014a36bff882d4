"""Where alerts go, as Alertmanager itself would send them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from alerting.alertmanager import INHIBITIONS, RECEIVER, alertmanager_file
from app.domain.alerts import ALERTS, WATCHDOG, Alert
from tests.prometheus_tools import amtool


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "alertmanager.yml"
    path.write_text(alertmanager_file("http://127.0.0.1:9/alerts"), encoding="utf-8")
    return path


def test_alertmanager_accepts_the_configuration(configuration: Path) -> None:
    result = amtool("check-config", configuration)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(INHIBITIONS)} inhibit rules" in result.stdout


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_goes_to_the_relay(alert: Alert, configuration: Path) -> None:
    labels = [f"alertname={alert.name}", f"severity={alert.severity}", "environment=test"]
    result = amtool(
        "config", "routes", "test", f"--config.file={configuration}", f"--verify.receivers={RECEIVER}", *labels
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_watchdog_alone_is_repeated_every_minute() -> None:
    route = yaml.safe_load(alertmanager_file())["route"]
    assert route["repeat_interval"] == "5m"
    assert [(r["matchers"], r["repeat_interval"]) for r in route["routes"]] == [
        ([f'alertname="{WATCHDOG.name}"'], "1m")
    ]


def test_no_alert_holds_back_itself_or_the_one_that_holds_it_back() -> None:
    held = {(source.name, target.name) for source, targets in INHIBITIONS for target in targets}
    assert [pair for pair in held if pair[0] == pair[1] or pair[::-1] in held] == []


def test_only_alerts_of_the_same_environment_are_held_back() -> None:
    rules = yaml.safe_load(alertmanager_file())["inhibit_rules"]
    assert [rule["equal"] for rule in rules] == [["environment"]] * len(INHIBITIONS)


def test_the_relay_is_where_the_caller_says() -> None:
    receivers = yaml.safe_load(alertmanager_file("https://relay.example/alerts"))["receivers"]
    assert [webhook["url"] for receiver in receivers for webhook in receiver["webhook_configs"]] == [
        "https://relay.example/alerts"
    ]
