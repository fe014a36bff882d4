"""Where alerts go, as Alertmanager itself would send them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr, ValidationError

from alerting.alertmanager import RECEIVER, SECOND_RECEIVER, alertmanager_file
from alerting.inhibitions import INHIBITIONS
from app.domain.alerts import ALERTS, RELAY_BACKLOG, RELAY_DEGRADED, TARGET_DOWN, WATCHDOG, Alert
from app.domain.observers import OBSERVER_JOBS, RELAY_JOB
from app.settings.monitoring import MonitoringSettings
from tests.alert_routes import receivers_of
from tests.prometheus_tools import amtool

#: Both second ways.
_SECOND = MonitoringSettings(
    second_webhook_url=SecretStr("https://pager.example/hook/secret"),
    email_to="oncall@example.com",
    email_from="alerts@example.com",
    email_smarthost="mail.example.com:587",
)


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "alertmanager.yml"
    path.write_text(alertmanager_file("http://127.0.0.1:9/alerts", Path("token"), _SECOND), encoding="utf-8")
    return path


def test_alertmanager_accepts_the_configuration(configuration: Path) -> None:
    result = amtool("check-config", configuration)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(INHIBITIONS)} inhibit rules" in result.stdout


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_goes_to_the_relay(alert: Alert, configuration: Path) -> None:
    ways = receivers_of(alert, configuration)
    assert ways == ([SECOND_RECEIVER, RECEIVER] if alert in {RELAY_DEGRADED, RELAY_BACKLOG} else [RECEIVER])


@pytest.mark.parametrize("job", ["marketplace-web", *sorted(OBSERVER_JOBS)])
def test_a_relay_that_is_not_there_is_told_a_second_way(job: str, configuration: Path) -> None:
    ways = receivers_of(TARGET_DOWN, configuration, job=job, instance="a")
    assert ways == ([SECOND_RECEIVER, RECEIVER] if job == RELAY_JOB else [RECEIVER])


def test_the_watchdog_alone_is_repeated_every_minute() -> None:
    route = yaml.safe_load(alertmanager_file())["route"]
    assert route["repeat_interval"] == "5m"
    assert [r["matchers"] for r in route["routes"] if r.get("repeat_interval") == "1m"] == [
        [f'alertname="{WATCHDOG.name}"']
    ]


def test_no_alert_holds_back_itself_or_the_one_that_holds_it_back() -> None:
    held = {(rule.source.name, target.name) for rule in INHIBITIONS for target in rule.targets}
    assert [pair for pair in held if pair[0] == pair[1] or pair[::-1] in held] == []


def test_nothing_holds_back_what_tells_of_the_relay() -> None:
    held = {target for rule in INHIBITIONS for target in rule.targets}
    assert held.isdisjoint({RELAY_DEGRADED, RELAY_BACKLOG, TARGET_DOWN, WATCHDOG})


def test_only_alerts_of_the_same_environment_are_held_back() -> None:
    rules = yaml.safe_load(alertmanager_file())["inhibit_rules"]
    assert [rule["equal"] for rule in rules] == [["environment"]] * len(INHIBITIONS)


def test_the_relay_is_where_the_caller_says() -> None:
    relay, second = yaml.safe_load(alertmanager_file("https://relay.example/alerts"))["receivers"]
    assert relay["webhook_configs"] == [{"url": "https://relay.example/alerts", "send_resolved": True, "max_alerts": 0}]
    assert second == {"name": SECOND_RECEIVER}


def test_the_relay_is_shown_the_token_of_a_file_and_never_the_token_itself() -> None:
    relay, _ = yaml.safe_load(alertmanager_file(token_file=Path("/run/secrets/token")))["receivers"]
    assert relay["webhook_configs"][0]["http_config"] == {
        "authorization": {"type": "Bearer", "credentials_file": "/run/secrets/token"}
    }


def test_the_second_way_leads_to_a_webhook_and_to_an_address() -> None:
    _, second = yaml.safe_load(alertmanager_file(settings=_SECOND))["receivers"]
    assert second["webhook_configs"] == [{"url": "https://pager.example/hook/secret", "send_resolved": True}]
    assert second["email_configs"] == [
        {
            "to": "oncall@example.com",
            "from": "alerts@example.com",
            "smarthost": "mail.example.com:587",
            "require_tls": True,
            "send_resolved": True,
        }
    ]


def test_an_address_without_a_server_is_refused() -> None:
    with pytest.raises(ValidationError, match="email_smarthost"):
        MonitoringSettings(email_to="oncall@example.com")
