"""A real Prometheus for tests: on a free loopback port, with a data directory of its own, ended by its process id."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.servers import ended, free_port, wait_until

#: What `deploy/tools.sh` installs; Debian's package has both programs.
_PROGRAMS = ("prometheus", "promtool")
_MISSING = "Prometheus is not installed: run `make tools`"
#: No scrape, no rule: enough to ask for samples that `fill` has written.
EMPTY_CONFIG = "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"


def need_prometheus() -> None:
    """Skip the calling test by name when Prometheus or promtool is missing; in CI fail it."""
    if all(shutil.which(program) for program in _PROGRAMS):
        return
    if os.environ.get("CI"):
        pytest.fail(_MISSING)
    pytest.skip(_MISSING)


def fill(data: Path, samples: str) -> None:
    """Write past samples into a data directory before Prometheus starts on it.

    Args:
        data: Data directory, made when it is not there.
        samples: OpenMetrics text in which every sample has a timestamp in seconds; `# EOF` is added.
    """
    data.mkdir(parents=True, exist_ok=True)
    source = data.parent / f"{data.name}.openmetrics"
    source.write_text(samples.rstrip("\n") + "\n# EOF\n", encoding="utf-8")
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(source), str(data)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def running_prometheus(
    directory: Path, *, samples: str | None = None, config: str = EMPTY_CONFIG, flags: Iterable[str] = ()
) -> Iterator[str]:
    """Yield the URL of a Prometheus of its own that is ready; it is ended afterwards.

    Args:
        directory: Where its configuration, log and data go; the data stay there.
        samples: What `fill` writes before the start.
        config: Configuration file, as YAML.
        flags: Further options of the program, as `--web.enable-lifecycle`.
    """
    need_prometheus()
    data, file, log = directory / "data", directory / "prometheus.yml", directory / "prometheus.log"
    file.write_text(config, encoding="utf-8")
    if samples is not None:
        fill(data, samples)
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={file}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=100y",  # samples of a fixed day must not grow too old
        f"--web.listen-address={url.removeprefix('http://')}",
        *flags,
    ]
    with log.open("ab") as output, subprocess.Popen(command, stdout=output, stderr=output) as process, ended(process):
        wait_until(lambda: _is_ready(url, process, log), seconds=30, what="Prometheus")
        yield url


def _is_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, f"Prometheus has ended:\n{log.read_text(encoding='utf-8')[-2000:]}"
    try:
        return requests.get(f"{url}/-/ready", timeout=2).ok
    except requests.RequestException:
        return False
