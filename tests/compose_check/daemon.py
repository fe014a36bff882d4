"""A Docker daemon of the check's own: its data, its socket, and no network but that of its containers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers import ended, wait_until

#: Loading images and stopping a stack are the longest.
_SECONDS = 300.0


@dataclass(frozen=True)
class Docker:
    """The client of one daemon."""

    socket: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which clients find it."""
        return {**os.environ, "DOCKER_HOST": f"unix://{self.socket}"}

    def run(self, *command: str | Path, seconds: float = _SECONDS) -> subprocess.CompletedProcess[str]:
        """Run a client, such as `docker ps`, to its end."""
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=seconds, check=False
        )

    def answer(self, *arguments: str | Path) -> str:
        """Return what `docker` prints; it must succeed."""
        done = self.run("docker", *arguments)
        assert done.returncode == 0, f"docker {arguments[0]}: {done.stderr}"
        return done.stdout

    def inspected(self, containers: Sequence[str]) -> list[dict[str, Any]]:
        """Return what Docker knows of each container."""
        found: list[dict[str, Any]] = json.loads(self.answer("inspect", *containers))
        return found


@contextmanager
def running_docker(directory: Path) -> Iterator[Docker]:
    """Yield a daemon that keeps everything below the directory; it ends with the block.

    To be called in a network namespace of its own: the daemon writes rules for all packets of the one that it is in.
    """
    directory.mkdir(parents=True, exist_ok=True)
    # Whatever the machine's own daemon is told does not hold here.
    (directory / "daemon.json").write_text("{}", encoding="utf-8")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)
    docker = Docker(directory / "docker.sock")
    dockerd = shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin")
    assert dockerd is not None
    command = [
        dockerd,
        f"--config-file={directory / 'daemon.json'}",
        f"--data-root={directory / 'data'}",
        f"--exec-root={directory / 'exec'}",
        f"--pidfile={directory / 'pid'}",
        f"--host=unix://{docker.socket}",
        # Where systemd is not there to be asked, and where nobody may make the daemon harder to kill.
        "--exec-opt=native.cgroupdriver=cgroupfs",
        "--oom-score-adjust=0",
    ]
    with (
        (directory / "dockerd.log").open("wb") as log,
        ended(subprocess.Popen(command, stdout=log, stderr=log), seconds=60),
    ):
        wait_until(lambda: docker.run("docker", "version").returncode == 0, seconds=60, what="dockerd")
        yield docker
