"""Helm of both major versions, run without a cluster and without the user's own configuration of Helm."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from deploy.tools.places import TOOLS, Major, find_helm

CHART = Path(__file__).parents[2] / "helm" / "marketplace"
MAJORS: tuple[Major, ...] = ("3", "4")


def run_helm(major: Major, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run Helm; without one of this major version the test is skipped by name, in CI it fails."""
    program = find_helm(major)
    if program is None:
        missing = f"Helm {major} is not installed: run `make tools`"
        if os.environ.get("CI", "") not in {"", "0", "false"}:
            pytest.fail(missing)
        pytest.skip(missing)
    command = [str(program), *map(str, arguments)]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=60, check=False, env=_environment()
    )


def _environment() -> dict[str, str]:
    home = str(TOOLS / "helm-home")
    places = dict.fromkeys(("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"), home)
    return {"PATH": os.environ["PATH"], "HOME": home, "KUBECONFIG": os.devnull, **places}
