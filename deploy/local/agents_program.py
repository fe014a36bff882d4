"""The simulated agents of a local stack: one process, and the list that the product reads."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from deploy.local.child import Program
from deploy.local.ports import LOOPBACK, Port
from deploy.local.readiness import http_answers

#: One agent per channel.
CHANNELS = ("amazon", "mercadolivre", "shopee", "shein", "tiktok-shop", "kaway")


def agents_document(url: str) -> str:
    """Return the list of the agents that answer at this address, as the product reads it."""
    agents = [
        {
            "name": channel,
            "channel": channel,
            "url": f"{url}/{channel}/v1",
            "protocol": "openai",
            "model": "simulated",
            "timeout_seconds": 30,
        }
        for channel in CHANNELS
    ]
    return yaml.safe_dump(agents, sort_keys=False)


@dataclass(frozen=True)
class AgentsProgram:
    """The agents on one port; `file` is the list of them."""

    port: Port
    file: Path

    @property
    def url(self) -> str:
        """Where the agents and their live control answer."""
        return self.port.url

    def write_file(self) -> None:
        """Write the list."""
        self.file.write_text(agents_document(self.url), encoding="utf-8")

    def overrides(self) -> dict[str, str]:
        """Return the settings of the product that lead to these agents."""
        return {
            "MARKETPLACE_AGENTS__FILE": str(self.file),
            # The simulated agents are on loopback.
            "MARKETPLACE_OUTBOUND__ALLOW_PRIVATE_AGENTS": "true",
        }

    def program(self, environment: Mapping[str, str]) -> Program:
        """Return the program."""
        return Program(
            "agents",
            (sys.executable, "-m", "loadtest.fake_agents", "--host", LOOPBACK, "--port", str(self.port.number)),
            environment,
            is_ready=lambda: http_answers(self.port.number, f"/requests/{CHANNELS[0]}"),
        )
