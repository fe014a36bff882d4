"""promtool, which knows what Prometheus thinks of names and rules."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

_NO_PROMTOOL = "promtool is not installed: run `make tools`"


def promtool() -> str:
    """Return its path; without it the test is skipped by name, in CI it fails."""
    found = shutil.which("promtool")
    if found is not None:
        return found
    if os.environ.get("CI"):
        pytest.fail(_NO_PROMTOOL)
    pytest.skip(_NO_PROMTOOL)


def findings_of(exposition: str) -> list[str]:
    """Return what is wrong with metrics in the text format.

    Source: https://prometheus.io/docs/prometheus/latest/command-line/promtool/#promtool-check-metrics
    """
    checked = subprocess.run(
        [promtool(), "check", "metrics", "--extended"],
        input=exposition,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert checked.returncode in {0, 3}, checked.stderr
    # The table of cardinalities goes to the other stream.
    return checked.stderr.splitlines()
