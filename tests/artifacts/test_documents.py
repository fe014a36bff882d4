from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import pytest

from app.cli.main import marketplace

_ROOT = Path(__file__).resolve().parents[2]
_TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (_ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def _documents() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "*.md", ".env*"], cwd=_ROOT, capture_output=True, text=True, check=True)
    return [_ROOT / line for line in listed.stdout.splitlines()]


def _name(path: Path) -> str:
    return str(path.relative_to(_ROOT))


@pytest.mark.parametrize("path", _documents(), ids=_name)
def test_every_link_to_a_file_leads_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("path", _documents(), ids=_name)
def test_every_shown_command_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    targets = re.findall(r"(?:^|[`\s])make ([a-z][a-z-]*)(?=[`\s])", "\n".join(_code(text)))
    assert set(targets) <= _TARGETS
    # To these, "marketplace" is the name of a release.
    ours = re.sub(r"\b(?:helm|kubectl) (?:\\\n|[^\n])*", "", "\n".join(_code(text)))
    for words in re.findall(r"(?:^|[`\s/])marketplace((?: [a-z-]+)+)", ours, re.MULTILINE):
        _resolve(words.split())


def test_every_target_has_a_line_of_help() -> None:
    command = ["make", "--no-print-directory", "help"]
    shown = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split()[1] for line in shown.splitlines()} == _TARGETS


def test_the_index_of_decisions_has_every_page() -> None:
    folder = _ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    pages = [path.name for path in folder.glob("*.md") if path.name != "README.md"]
    assert [page for page in pages if f"]({page})" not in index] == []


def _code(text: str) -> list[str]:
    """Return what is set as code: blocks of a shell, and code within a line."""
    return [*re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE), *re.findall(r"`[^`\n]+`", text)]


def _resolve(words: list[str]) -> None:
    command: click.Command = marketplace
    for word in words:
        if not isinstance(command, click.Group):
            return
        found = command.get_command(click.Context(command), word)
        assert found is not None, f"there is no command 'marketplace {' '.join(words)}'"
        command = found
