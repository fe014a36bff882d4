"""The wheel must hold what the product reads beside its code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

_ROOT = Path(__file__).parents[2]


#: What is read beside the code: prompts by the product; dashboards by Grafana, and by whoever draws them without it.
_FILES = [
    "app/agents/prompts/*.md",
    "monitoring/grafana/dashboards/*.json",
    "monitoring/grafana/provisioning/*/*.yaml",
    "monitoring/rendering/templates/*",
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files in the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, timeout=60)
    (built,) = folder.glob("*.whl")
    return set(ZipFile(built).namelist())


@pytest.mark.parametrize("pattern", _FILES)
def test_the_wheel_holds_what_is_read_beside_the_code(pattern: str, wheel: set[str]) -> None:
    files = {str(path.relative_to(_ROOT)) for path in _ROOT.glob(pattern)}
    assert files
    assert files <= wheel


def test_the_wheel_holds_the_runbooks_that_the_web_process_shows(wheel: set[str]) -> None:
    runbooks = {f"app/runbooks/{path.name}" for path in (_ROOT / "docs/runbooks").glob("*.md")}
    assert runbooks
    assert runbooks <= wheel
