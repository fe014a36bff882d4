"""`marketplace rules` makes rules for the settings of its environment."""

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

MARKETPLACE = str(Path(sys.executable).with_name("marketplace"))


def marketplace(*arguments: str | Path, **settings: str) -> str:
    inherited = ("PATH", "HOME", "COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")
    environment = {name: os.environ[name] for name in inherited if name in os.environ}
    command = [MARKETPLACE, *map(str, arguments)]
    result = subprocess.run(command, env=environment | settings, capture_output=True, text=True, timeout=60, check=True)
    return result.stdout


def test_show_prints_one_rule_file_for_the_retention() -> None:
    shown = marketplace("rules", "show", MARKETPLACE_MONITORING__RETENTION_HOURS="168")
    as_json = marketplace("rules", "show", "--json", MARKETPLACE_MONITORING__RETENTION_HOURS="168")
    assert yaml.safe_load(shown) == json.loads(as_json)
    assert "MarketplaceJobSuccessBurnThreeDays" in shown
    assert "MarketplaceJobSuccessBurnThreeDays" not in marketplace("rules", "show")


def test_write_makes_the_files_of_prometheus_and_alertmanager(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "rules"
    printed = marketplace(
        *("rules", "write", folder, "--relay-url", "http://relay:8200/alerts"),
        MARKETPLACE_MONITORING__SCRAPE_SECONDS="15",
        MARKETPLACE_MONITORING__ENVIRONMENT="production",
        MARKETPLACE_MONITORING__GRAFANA_URL="https://grafana.example",
    )
    assert sorted(printed.splitlines()) == sorted(str(path) for path in folder.iterdir())
    alerts = (folder / "alerts.rules.yml").read_text()
    assert {group["interval"] for group in yaml.safe_load(alerts)["groups"]} == {"15s"}
    assert "environment: production" in alerts
    assert "https://grafana.example/d/marketplace-overview" in alerts
    assert "http://relay:8200/alerts" in (folder / "alertmanager.yml").read_text()
    assert json.loads(marketplace("rules", "write", folder, "--json"))["written"] == printed.splitlines()
