"""Each alert has a runbook, each runbook an alert; what a runbook tells to type exists, and where it leads is there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from app.cli.main import marketplace
from app.domain.alerts import EXPLAINED_ALERTS, MONITORING_BLIND
from app.domain.dashboards import Dashboard
from tests.alert_cases import RULES
from tests.artifacts.promql_contract import problems

_ROOT = Path(__file__).resolve().parents[2]
_FOLDER = _ROOT / "docs" / "runbooks"
_RUNBOOKS = sorted(path for path in _FOLDER.glob("*.md") if path.name != "README.md")
_DOCUMENTS = [*_RUNBOOKS, _FOLDER / "README.md", _ROOT / "docs" / "decisions" / "objectives.md"]
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
def test_every_query_of_a_runbook_names_what_the_tables_have(path: Path) -> None:
    queries = re.findall(r"^```promql\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert queries
    for query in queries:
        assert problems(query) == []


@each_document
def test_every_shown_command_can_be_typed(path: Path) -> None:
    for line in _commands(path.read_text(encoding="utf-8")):
        _parse(shlex.split(line))


@each_document
def test_every_link_and_anchor_leads_somewhere(path: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", path.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        page = (path.parent / target) if target else path
        assert page.exists(), target
        if anchor:
            assert anchor in set(_anchors(page.read_text(encoding="utf-8"))), f"{target}#{anchor}"


def _commands(text: str) -> Iterator[str]:
    """Every `marketplace` command, in blocks and within lines."""
    blocks = re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    yield from (line for block in blocks for line in block.splitlines() if line.startswith("marketplace "))
    yield from re.findall(r"`(marketplace [^`\n|]+)`", text)


def _parse(words: list[str]) -> None:
    """Let click read the options of a command, as if it were to be run."""
    command: click.Command = marketplace
    # With the settings of the command: click keeps the help option of the first context that it is given.
    context = click.Context(command, info_name=words[0], **command.context_settings)
    rest = words[1:]
    while isinstance(command, click.Group):
        found = command.get_command(context, rest[0]) if rest else None
        assert found is not None, f"there is no command {' '.join(words)}"
        command, rest = found, rest[1:]
        context = click.Context(command, context, info_name=words[0], **command.context_settings)
    arguments, unread, _ = command.make_parser(context).parse_args(list(rest))
    assert unread == []
    for parameter in command.params:
        if parameter.required:
            assert arguments.get(str(parameter.name)), f"{' '.join(words)} needs {parameter.name}"


def _anchors(text: str) -> Iterator[str]:
    """Anchors of the headings, as GitHub makes them."""
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
