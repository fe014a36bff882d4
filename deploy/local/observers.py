"""Prometheus and Alertmanager beside a local stack, from the PATH, with a configuration made for it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from app.domain.errors import ConfigurationError
from app.domain.observers import ALERTMANAGER_JOB, PROMETHEUS_JOB
from app.settings import MonitoringSettings
from deploy.artifacts.rule_documents import ALERT_FILE, ALERTMANAGER_FILE, RECORDING_FILE, documents
from deploy.local.child import Program
from deploy.local.ports import LOOPBACK, Port, default_port
from deploy.local.readiness import http_answers
from monitoring.scraping import Targets, prometheus_config, retention_argument

#: First choice of each port: the ones that everybody knows.
PROMETHEUS_PORT = 9090
ALERTMANAGER_PORT = 9093

#: Debian calls the second one by another name than its makers.
_PROMETHEUS_NAMES = ("prometheus",)
_ALERTMANAGER_NAMES = ("alertmanager", "prometheus-alertmanager")

HOW_TO_GET = (
    "install them, on Debian or Ubuntu: apt-get install --no-install-recommends prometheus prometheus-alertmanager "
    "(or `make tools`); on macOS: brew install prometheus alertmanager"
)


@dataclass(frozen=True)
class ObserverBinaries:
    """Where the two programs are."""

    prometheus: Path
    alertmanager: Path


def find_observers() -> ObserverBinaries:
    """Return the programs on the PATH.

    Raises:
        ConfigurationError: One of them is missing; the text says how to get it.
    """
    found = {
        "Prometheus": _first_of(_PROMETHEUS_NAMES),
        "Alertmanager": _first_of(_ALERTMANAGER_NAMES),
    }
    prometheus, alertmanager = found.values()
    if prometheus is None or alertmanager is None:
        missing = " and ".join(name for name, path in found.items() if path is None)
        raise ConfigurationError(f"{missing}: not found on the PATH; {HOW_TO_GET}")
    return ObserverBinaries(prometheus, alertmanager)


@dataclass(frozen=True)
class Observers:
    """The two servers of one stack, planned but not started; they keep their data and files under `directory`."""

    binaries: ObserverBinaries
    settings: MonitoringSettings
    directory: Path
    prometheus: Port
    alertmanager: Port

    @classmethod
    def planned(cls, binaries: ObserverBinaries, settings: MonitoringSettings, directory: Path) -> Observers:
        """Return the servers on free ports.

        Raises:
            NetworkError: No port near a default is free.
        """
        ports = (
            default_port(PROMETHEUS_PORT, purpose="Prometheus"),
            default_port(ALERTMANAGER_PORT, purpose="Alertmanager"),
        )
        for port in ports:
            port.stop_listening()
        return cls(binaries, settings, directory, *ports)

    @property
    def urls(self) -> dict[str, str]:
        """Where the servers answer, by name."""
        return {name: f"http://{_address(port)}" for name, port in self.ports.items()}

    @property
    def ports(self) -> dict[str, Port]:
        """The ports by name."""
        return {"prometheus": self.prometheus, "alertmanager": self.alertmanager}

    def write_files(
        self, targets: Sequence[Targets], *, relay_url: str | None = None, relay_token_file: Path | None = None
    ) -> None:
        """Write the rules and the configurations; without a relay, alerts stay in Alertmanager."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for name, text in documents(self.settings, relay_url, relay_token_file).items():
            (self.directory / name).write_text(text, encoding="utf-8")
        own = (
            Targets(PROMETHEUS_JOB, (_address(self.prometheus),)),
            Targets(ALERTMANAGER_JOB, (_address(self.alertmanager),)),
        )
        config = prometheus_config(
            self.settings,
            (*targets, *own),
            rules=[RECORDING_FILE, ALERT_FILE],
            alertmanagers=[_address(self.alertmanager)],
        )
        (self.directory / "prometheus.yml").write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")

    def programs(self, environment: Mapping[str, str]) -> list[Program]:
        """Return the programs."""
        return [
            Program(
                "prometheus",
                (
                    str(self.binaries.prometheus),
                    f"--config.file={self.directory / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self.directory / 'prometheus'}",
                    retention_argument(self.settings),
                    f"--web.listen-address={_address(self.prometheus)}",
                    "--log.level=warn",
                ),
                environment,
                is_ready=lambda: http_answers(self.prometheus.number, "/-/ready"),
            ),
            Program(
                "alertmanager",
                (
                    str(self.binaries.alertmanager),
                    f"--config.file={self.directory / ALERTMANAGER_FILE}",
                    f"--storage.path={self.directory / 'alertmanager'}",
                    f"--web.listen-address={_address(self.alertmanager)}",
                    # One alone: by default it listens for others on all addresses.
                    "--cluster.listen-address=",
                    "--log.level=warn",
                ),
                environment,
                is_ready=lambda: http_answers(self.alertmanager.number, "/-/ready"),
            ),
        ]


def _address(port: Port) -> str:
    return f"{LOOPBACK}:{port.number}"


def _first_of(names: Sequence[str]) -> Path | None:
    return next((Path(found) for name in names if (found := shutil.which(name))), None)
