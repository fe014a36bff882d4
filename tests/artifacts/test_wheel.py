"""The wheel must hold what the product reads beside its code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

_ROOT = Path(__file__).parents[2]


def test_the_wheel_holds_the_prompts_and_the_runbooks(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    prompts = {str(path.relative_to(_ROOT)) for path in (_ROOT / "app/agents/prompts").glob("*.md")}
    assert prompts
    runbooks = {f"app/runbooks/{path.name}" for path in (_ROOT / "docs/runbooks").glob("*.md")}
    assert runbooks
    assert prompts | runbooks <= set(ZipFile(wheel).namelist())
