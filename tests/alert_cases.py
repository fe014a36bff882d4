"""Cases of alerts, as tests/artifacts/rules/*.yml has them, made into unit tests of promtool.

Each alert has three kinds: `fires`, `below` (just not), and `resolves` (fires, and then no more).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from alerting.rules.rule import AlertRule
from app.rule_files import RuleGroup, rule_file
from app.settings.monitoring import MonitoringSettings
from deploy.artifacts.rule_documents import rule_groups, rules_by_family

FOLDER = Path(__file__).parent / "artifacts" / "rules"

RULE_FILE = "rules.yml"

#: Long enough for every rule.
SETTINGS = MonitoringSettings(retention_hours=168, environment="test")

RULES: Mapping[str, tuple[AlertRule, ...]] = {
    rule.alert.name: tuple(other for other in rules if other.alert == rule.alert)
    for rules in rules_by_family(SETTINGS).values()
    for rule in rules
}

_TARGET = 'environment="test",job="web",instance="a"'


@dataclass(frozen=True)
class AlertCases:
    """All cases of one alert."""

    alert: str
    interval: str
    cases: Mapping[str, Any]

    def promtool_tests(self) -> list[dict[str, Any]]:
        """One test for each case."""
        first = self.cases["fires"][0]
        return [
            *(self._test("fires", case, self._times(case)) for case in self.cases["fires"]),
            *(
                self._test(f"just not: {case['because']}", case, {case["at"]: None})
                for case in self.cases.get("below", [])
            ),
            *(
                self._test("resolves", case, {case["at"]: first, case["resolved"]: None})
                for case in [self.cases.get("resolves")]
                if case
            ),
        ]

    def _times(self, case: Mapping[str, Any]) -> dict[str, Mapping[str, Any] | None]:
        silent = {case["not_yet"]: None} if "not_yet" in case else {}
        return {**silent, case["at"]: case}

    def _test(
        self, name: str, case: Mapping[str, Any], times: Mapping[str, Mapping[str, Any] | None]
    ) -> dict[str, Any]:
        series = dict(self._present(case)) | self.cases.get("always", {}) | case.get("series", {})
        return {
            "name": f"{self.alert} {name}",
            "interval": self.interval,
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "alert_rule_test": [
                {
                    "eval_time": at,
                    "alertname": self.alert,
                    "exp_alerts": [self._expected(fired)] if fired is not None else [],
                }
                for at, fired in times.items()
            ],
        }

    def _present(self, case: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Every metric that must not be missing, but for the one that the case names."""
        if "present_except" in case:
            for rule in RULES[self.alert]:
                metric = rule.labels["metric"]
                if metric not in {"up", case["present_except"]}:
                    yield f"{metric}{{{_TARGET}}}", "0x240"

    def _expected(self, fired: Mapping[str, Any]) -> dict[str, Any]:
        rule = RULES[self.alert][0]
        return {
            "exp_labels": {
                "severity": rule.alert.severity.value,
                "type": rule.alert.type.value,
                "environment": "test",
                **fired["labels"],
            },
            "exp_annotations": {
                "summary": fired["summary"],
                "description": fired["description"],
                "runbook_url": f"http://127.0.0.1:8000/runbooks/{self.alert}",
                "dashboard_url": f"http://127.0.0.1:3000/d/{rule.dashboard}?var-environment=test&from=now-1h&to=now",
            },
        }


def all_cases() -> list[AlertCases]:
    """The cases of every alert that has any."""
    return [
        AlertCases(alert, document["interval"], cases)
        for path in sorted(FOLDER.glob("*.yml"))
        for document in [yaml.safe_load(path.read_text(encoding="utf-8"))]
        for alert, cases in document["alerts"].items()
    ]


def write_promtool_file(folder: Path, cases: AlertCases) -> Path:
    """Write the rules and the tests of one alert into the folder; return the path of the tests."""
    groups = [group for group in rule_groups(SETTINGS) if not group.name.startswith("marketplace-alerts")]
    alerts = tuple(rule.document(SETTINGS) for rule in RULES[cases.alert])
    # Every group is evaluated at every step: only what the alert reads, or a test takes ten times as long.
    read = " ".join(str(rule["expr"]) for rule in alerts)
    needed = [group for group in groups if any(str(rule["record"]) in read for rule in group.rules)]
    needed.append(RuleGroup("alerts", 5, alerts))
    (folder / RULE_FILE).write_text(rule_file(needed), encoding="utf-8")
    path = folder / f"{cases.alert}.yml"
    document = {
        "rule_files": [RULE_FILE],
        "evaluation_interval": cases.interval,
        "group_eval_order": [group.name for group in needed],
        "tests": cases.promtool_tests(),
    }
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path
