"""The stack of deploy/compose.yaml as one check runs it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import requests
from dotenv import dotenv_values

from app.cli.remote import Remote
from deploy.compose.secret_files import make_secrets
from tests.compose_check.daemon import Docker
from tests.compose_check.images import stand_in_names
from tests.servers import wait_until

_ROOT = Path(__file__).parents[2]
_FILE = _ROOT / "deploy" / "compose.yaml"

#: All but Grafana, of which no package system has a program that could stand in for its image.
SERVICES = (
    "valkey",
    "postgresql",
    "migrate",
    "web",
    "worker",
    "quarantine",
    "scheduler",
    "relay",
    "prometheus",
    "alertmanager",
    "agents",
    "slack",
)


@dataclass(frozen=True)
class ComposeStack:
    """The stack on one daemon; `program` is the Docker Compose that handles it."""

    docker: Docker
    program: Path
    directory: Path

    def prepare(self) -> None:
        """Make the secrets, and the file of variables that a user would have as deploy/.env."""
        make_secrets(self.directory / "secrets")
        demo = dotenv_values(_ROOT / "deploy" / "compose" / "demo.env")
        variables: Mapping[str, str | None] = {
            **demo,
            **stand_in_names(),
            "SECRETS_DIR": str(self.directory / "secrets"),
            "COMPOSE_PROJECT_NAME": "check",
        }
        text = "".join(f"{name}={value}\n" for name, value in variables.items())
        (self.directory / "check.env").write_text(text, encoding="utf-8")

    def compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Docker Compose; it must succeed."""
        options = (f"--env-file={self.directory / 'check.env'}", f"--file={_FILE}")
        done = self.docker.run(self.program, *options, *arguments)
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr[-3000:]}"
        return done

    def containers(self) -> list[dict[str, Any]]:
        """Return what Docker knows of each container of the stack, running or not."""
        return self.docker.inspected(self.docker.answer("ps", "--all", "--quiet").split())

    def up(self, *arguments: str) -> None:
        """Start the stack, and wait until every server is healthy."""
        self.compose("up", "--detach", *arguments, *SERVICES)
        wait_until(lambda: not self.unhealthy(), seconds=240, what="every server to be healthy")

    def unhealthy(self) -> list[str]:
        """Return the names of the servers that are not healthy."""
        return [
            name_of(one)
            for one in self.containers()
            if name_of(one) != "migrate" and one["State"].get("Health", {}).get("Status") != "healthy"
        ]

    @cached_property
    def api(self) -> Remote:
        """The product's API at its published port, with the token that was there before the first start."""
        token = (self.directory / "secrets" / "admin-token").read_text(encoding="ascii")
        return Remote("http://127.0.0.1:8000", token, direct=True)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return what Prometheus answers at its published port."""
        url = "http://127.0.0.1:9090/api/v1/query"
        answer = requests.get(url, params={"query": expression}, timeout=10)
        return list(answer.json()["data"]["result"])


def name_of(container: Mapping[str, Any]) -> str:
    """Return the name of the service that a container belongs to."""
    return str(container["Config"]["Labels"]["com.docker.compose.service"])
