"""Every alert fires, just does not, and ends: as Prometheus itself evaluates the rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.alerts import ALERTS, WATCHDOG
from tests.alert_cases import RULE_FILE, RULES, AlertCases, all_cases, write_promtool_file
from tests.prometheus_tools import promtool


@pytest.mark.parametrize("cases", all_cases(), ids=lambda cases: cases.alert)
def test_an_alert_fires_just_does_not_and_ends(cases: AlertCases, tmp_path: Path) -> None:
    result = promtool("test", "rules", write_promtool_file(tmp_path, cases))
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_alert_has_the_three_kinds_of_case() -> None:
    # The watchdog always fires: it has no threshold and no end.
    kinds = {cases.alert: set(cases.cases) - {"always"} for cases in all_cases()}
    assert kinds == {alert.name: {"fires"} if alert is WATCHDOG else {"fires", "below", "resolves"} for alert in ALERTS}


@pytest.mark.parametrize("cases", all_cases(), ids=lambda cases: cases.alert)
def test_an_alert_that_waits_is_seen_waiting(cases: AlertCases) -> None:
    waits = RULES[cases.alert][0].for_seconds > 0
    assert ("not_yet" in cases.cases["fires"][0]) == waits


def test_a_rule_that_never_fires_is_noticed(tmp_path: Path) -> None:
    (cases,) = [cases for cases in all_cases() if cases.alert == "MarketplaceRedisDown"]
    path = write_promtool_file(tmp_path, cases)
    rules = tmp_path / RULE_FILE
    spoilt = rules.read_text(encoding="utf-8").replace("(marketplace_redis_up) == 0", "(marketplace_redis_up) == 2")
    rules.write_text(spoilt, encoding="utf-8")
    assert promtool("test", "rules", path).returncode != 0
