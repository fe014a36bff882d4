"""deploy/compose.yaml as tests read it, and the programs that judge it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.tools.places import COMPOSE

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "compose.yaml"

#: Those that run the product's own image with a command of `marketplace`.
ROLES = ("web", "worker", "quarantine", "scheduler", "relay")
#: Everything that keeps running.
SERVERS = (*ROLES, "valkey", "postgresql", "prometheus", "alertmanager", "grafana", "agents", "slack")

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?::-(?P<default>[^}]*))?\}")


@cache
def compose_text() -> str:
    """Return the file as it is."""
    return FILE.read_text(encoding="utf-8")


@cache
def compose() -> Mapping[str, Any]:
    """Return the file with its anchors resolved, and each variable by its default."""
    document: Mapping[str, Any] = yaml.safe_load(_VARIABLE.sub(lambda found: found["default"] or "", compose_text()))
    return document


def service(name: str) -> Mapping[str, Any]:
    """Return one service."""
    found: Mapping[str, Any] = compose()["services"][name]
    return found


def variables() -> dict[str, str | None]:
    """Return each variable that the file reads, with its default."""
    return {found["name"]: found["default"] for found in _VARIABLE.finditer(compose_text())}


def mounts(name: str) -> Iterator[tuple[Path, str]]:
    """Yield each file or folder of the repository that a service mounts, and where."""
    for volume in service(name).get("volumes", []):
        source, target, *options = volume.split(":")
        if source.startswith("."):
            assert options == ["ro"], volume
            yield (FILE.parent / source).resolve(), target


def seconds(text: str) -> int:
    """Return a duration of whole seconds.

    >>> seconds("30s")
    30
    """
    assert text.endswith("s"), text
    return int(text[:-1])


def debian_compose() -> Path:
    """Return docker-compose 1.29; without it the test is skipped by name, in CI it fails."""
    found = shutil.which("docker-compose")
    return Path(found) if found is not None else _missing("docker-compose")


def packaged_compose() -> Path:
    """Return Docker Compose of today; without it the test is skipped by name, in CI it fails."""
    return COMPOSE if COMPOSE.is_file() else _missing("Docker Compose")


def run_compose(program: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it on the file as a user without settings would."""
    own = {*variables(), "COMPOSE_PROFILES", "COMPOSE_FILE", "COMPOSE_PROJECT_NAME"}
    environment = {name: value for name, value in os.environ.items() if name not in own}
    command = [program, *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def _missing(program: str) -> Path:
    reason = f"{program} is not installed: run `make tools`"
    if os.environ.get("CI", "") not in {"", "0", "false"}:
        pytest.fail(reason)
    pytest.skip(reason)
