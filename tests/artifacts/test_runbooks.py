"""Each alert has a runbook, each runbook an alert; what a runbook tells to type exists, and where it leads is there."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.alerts import EXPLAINED_ALERTS, MONITORING_BLIND, AlertType
from app.domain.dashboards import Dashboard
from tests.alert_cases import RULES
from tests.artifacts.promql_contract import problems
from tests.shown_commands import parse_command, shown_commands

_ROOT = Path(__file__).resolve().parents[2]
_FOLDER = _ROOT / "docs" / "runbooks"
_RUNBOOKS = sorted(path for path in _FOLDER.glob("*.md") if path.name != "README.md")
_DOCUMENTS = [
    *_RUNBOOKS,
    _FOLDER / "README.md",
    *(
        _ROOT / "docs" / name
        for name in (
            "decisions/alert-thresholds.md",
            "decisions/objectives.md",
            "howto/on-call.md",
            "howto/post-mortem.md",
            "templates/post-mortem.md",
        )
    ),
]
_HEADINGS = ["Meaning", "Impact", "Diagnosis", "Mitigation", "Prevention"]

each_runbook = pytest.mark.parametrize("path", _RUNBOOKS, ids=lambda path: path.stem)
each_document = pytest.mark.parametrize("path", _DOCUMENTS, ids=lambda path: path.stem)


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    assert [path.stem for path in _RUNBOOKS] == sorted(alert.name for alert in EXPLAINED_ALERTS)


def test_the_index_lists_every_runbook_with_its_severity() -> None:
    index = (_FOLDER / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \| (\w+) \|", index, re.MULTILINE)
    assert rows == [(alert.name, alert.name, alert.severity.value) for alert in EXPLAINED_ALERTS]


@each_runbook
def test_a_runbook_is_short_and_has_every_part(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# {path.stem}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == _HEADINGS
    assert [part for part in re.split(r"^## .*$", text, flags=re.MULTILINE) if not part.strip()] == []
    assert "\nBy itself: " in text
    assert len(text.splitlines()) < 50


@each_runbook
def test_a_runbook_names_severity_type_and_dashboard_of_its_alert(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    (alert,) = (alert for alert in EXPLAINED_ALERTS if alert.name == path.stem)
    dashboard = Dashboard.ALERT_PIPELINE if alert is MONITORING_BLIND else RULES[path.stem][0].dashboard
    assert f"Severity `{alert.severity}`, type `{alert.type}`" in text
    assert f"(`{dashboard}`)" in text


@each_runbook
def test_a_runbook_says_what_to_type_to_confirm_it(path: Path) -> None:
    diagnosis = _part(path, "Diagnosis")
    assert re.search(r"(?:^|`)(?:marketplace|curl) ", diagnosis, re.MULTILINE)
    assert _queries(diagnosis)


def test_runbooks_of_different_faults_tell_different_ways_to_prevent_them() -> None:
    told: dict[str, set[AlertType]] = defaultdict(set)
    for alert in EXPLAINED_ALERTS:
        told[_part(_FOLDER / f"{alert.name}.md", "Prevention").strip()].add(alert.type)
    assert all(text.endswith(".") for text in told)
    assert {text: types for text, types in told.items() if len(types) > 1} == {}


@each_document
def test_every_query_names_what_the_tables_have(path: Path) -> None:
    for query in _queries(path.read_text(encoding="utf-8")):
        assert problems(query) == []


@each_document
def test_every_shown_command_can_be_typed(path: Path) -> None:
    for line in shown_commands(path.read_text(encoding="utf-8")):
        parse_command(shlex.split(line))


@each_document
def test_every_link_and_anchor_leads_somewhere(path: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", path.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        page = (path.parent / target) if target else path
        assert page.exists(), target
        if anchor:
            assert anchor in set(_anchors(page.read_text(encoding="utf-8"))), f"{target}#{anchor}"


def _part(path: Path, heading: str) -> str:
    """Return what stands under a heading."""
    parts = re.split(r"^## (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return parts[parts.index(heading) + 1]


def _queries(text: str) -> list[str]:
    return re.findall(r"^```promql\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def _anchors(text: str) -> Iterator[str]:
    """Anchors of the headings, as GitHub makes them."""
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
