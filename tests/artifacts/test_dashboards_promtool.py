"""Prometheus' own parser has the last word on the expressions of the dashboards."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.artifacts.dashboard_parts import committed, queries

_MISSING = "Prometheus is not installed: run `make tools`"


def _checked(expressions: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Return what promtool says of rules made of these expressions."""
    if shutil.which("promtool") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(_MISSING)
    rules = [{"record": f"checked:{index}", "expr": expression} for index, expression in enumerate(expressions)]
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}), encoding="utf-8")
    command = ["promtool", "check", "rules", "--lint=none", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_prometheus_can_parse_every_expression(tmp_path: Path) -> None:
    expressions = [query.expression for dashboard in committed().values() for query in queries(dashboard)]
    done = _checked(expressions, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(expressions)} rules found" in done.stdout


def test_prometheus_refuses_what_it_cannot_parse(tmp_path: Path) -> None:
    done = _checked(["sum by (environment) (up offset 1m)", "up offset"], tmp_path)
    assert done.returncode == 1
    assert "could not parse expression" in done.stdout + done.stderr
