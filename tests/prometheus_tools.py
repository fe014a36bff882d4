"""promtool and amtool, as Debian brings them: they judge our rules as Prometheus and Alertmanager would."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool; without it the test is skipped by name, in CI it fails."""
    return _run("promtool", "Prometheus", *arguments)


def amtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run amtool; without it the test is skipped by name, in CI it fails."""
    return _run("amtool", "Alertmanager", *arguments)


def _run(program: str, product: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    path = shutil.which(program)
    if path is None:
        missing = f"{product} is not installed: run `make tools`"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    command = [path, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
