"""The files that the chart carries are those that the product is checked with, and none is left over."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from deploy.artifacts.chart_files import CHART_FILES, FOLDER, least_retentions, rule_text
from deploy.artifacts.files import FILES
from deploy.artifacts.rule_documents import ALERT_FILE, RECORDING_FILE
from deploy.tools.places import Major
from tests.chart.helm_cli import CHART, MAJORS
from tests.chart.manifest_files import identity
from tests.chart.rendering import Rendered, render

_ROOT = CHART.parents[1]
_MARK = re.compile(r"@[A-Z_]+@")

#: Bytes that a release may take in the cluster: it is one Secret, and etcd takes no more.
_LARGEST_RELEASE = 1024 * 1024

#: Hours, beyond which no window of a rule reaches.
_LONG_HOURS = 24 * 365


def test_make_artifacts_writes_them() -> None:
    # That each is as committed, tests/artifacts/test_reference_pages.py checks for every file of the table.
    assert CHART_FILES.items() <= FILES.items()


def test_no_file_is_left_over() -> None:
    there = {str(path.relative_to(_ROOT)) for path in (_ROOT / FOLDER).rglob("*") if path.is_file()}
    assert there == {name for name in FILES if name.startswith(f"{FOLDER}/")}


def test_dashboards_are_the_gated_ones_byte_by_byte() -> None:
    gated = {path.name: path.read_bytes() for path in (_ROOT / "monitoring/grafana/dashboards").glob("*.json")}
    assert {path.name: path.read_bytes() for path in (_ROOT / FOLDER / "dashboards").iterdir()} == gated


def test_there_are_as_few_sets_of_rules_as_differ() -> None:
    # A longer retention only ever adds windows, so a set whose first and last hour agree is one set.
    least = least_retentions()
    sets = {
        hours: (rule_text(RECORDING_FILE, hours), rule_text(ALERT_FILE, hours))
        for hours in {*least, *(hours - 1 for hours in least[1:]), _LONG_HOURS}
    }
    assert [sets[first] for first in least] == [sets[last] for last in (*(h - 1 for h in least[1:]), _LONG_HOURS)]
    assert len(set(sets.values())) == len(least)


@pytest.mark.parametrize("case", ["default", "operator"])
def test_no_mark_is_left_in_what_is_rendered(case: str) -> None:
    assert _MARK.findall(json.dumps(_rendered(case).all())) == []


@pytest.mark.parametrize("case", ["default", "operator"])
def test_both_majors_of_helm_write_the_same(case: str) -> None:
    # All but what is random.
    first, second = ([found for found in _rendered(case, helm).all() if found["kind"] != "Secret"] for helm in MAJORS)
    assert sorted(first, key=identity) == sorted(second, key=identity)


def test_a_release_fits_into_its_secret() -> None:
    # As Helm stores it: the chart with its files, and the rendered objects, as compressed JSON in Base64.
    carried = [path.read_text(encoding="utf-8") for path in Path(CHART).rglob("*") if path.is_file()]
    stored = gzip.compress(json.dumps([carried, _rendered("operator").all()]).encode())
    assert len(stored) * 4 / 3 < _LARGEST_RELEASE / 2


def _rendered(case: str, helm: Major = "4") -> Rendered:
    everything = {
        "monitoring": {
            "operator": {"enabled": True},
            "dashboards": {"sidecar": {"enabled": True}, "grafanaOperator": {"enabled": True}},
        },
        "alertmanager": {
            "secondWebhook": {"existingSecret": "pager"},
            "email": {"to": "oncall@example.com", "from": "alerts@example.com", "smarthost": "mail.example.com:587"},
        },
    }
    return render(everything if case == "operator" else {}, helm=helm)
