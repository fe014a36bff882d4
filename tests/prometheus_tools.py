"""promtool, amtool and Alertmanager, as Debian brings them: they judge our rules as users' servers would."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.servers import ended, free_port, wait_until


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool; without it the test is skipped by name, in CI it fails."""
    return _run("promtool", "Prometheus", *arguments)


def amtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run amtool; without it the test is skipped by name, in CI it fails."""
    return _run("amtool", "Alertmanager", *arguments)


def _run(program: str, product: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [_found(program, product), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)


def _found(program: str, product: str) -> str:
    path = shutil.which(program)
    if path is None:
        missing = f"{product} is not installed: run `make tools`"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return path


@contextmanager
def running_alertmanager(configuration: Path) -> Iterator[str]:
    """Yield the URL of a real Alertmanager; without one the test is skipped by name, in CI it fails."""
    port = free_port()
    # Debian gives it a longer name than its makers.
    program = "prometheus-alertmanager" if shutil.which("prometheus-alertmanager") else "alertmanager"
    command = [
        _found(program, "Alertmanager"),
        f"--config.file={configuration}",
        f"--storage.path={configuration.parent / 'alertmanager-data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    url = f"http://127.0.0.1:{port}"
    with ended(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)):
        wait_until(lambda: _is_ready(url), what="Alertmanager")
        yield url


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/-/ready", timeout=1).ok
    except requests.RequestException:
        return False
