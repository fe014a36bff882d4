"""The local stack: which processes there are, with which environment, on which ports."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.cli.masking import masked_url
from app.domain.observers import RELAY_JOB
from app.settings import MonitoringSettings, Settings, origin_of
from app.shared_metrics import DIRECTORY_VARIABLE, empty_directory
from deploy.local.agents_program import AgentsProgram
from deploy.local.alert_path import INBOX_PORT, RELAY_PORT, AlertPath
from deploy.local.child import Program
from deploy.local.environment import settings_part, system_part
from deploy.local.observers import ObserverBinaries, Observers
from deploy.local.ports import LOOPBACK, Port, chosen_port, default_port
from deploy.local.readiness import http_answers, valkey_answers
from deploy.local.run_file import DataDirectory
from deploy.local.valkey import valkey_binary, write_valkey_config
from monitoring.scraping import SCHEDULER_JOB, WEB_JOB, WORKER_JOB, Targets

#: First choice of each port.
VALKEY_PORT = 16379
AGENTS_PORT = 8100
WORKER_METRICS_PORT = 9191
SCHEDULER_METRICS_PORT = 9192
QUARANTINE_METRICS_PORT = 9193

#: Web first, so that no new work comes in; the relay after all who tell it something, and Slack after the relay; Valkey
#: last, for the others use it to the end.
STOP_ORDER = (
    "web",
    "worker",
    "quarantine",
    "scheduler",
    "alertmanager",
    "prometheus",
    "relay",
    "slack",
    "agents",
    "valkey",
)

#: The settings that lead to a real Slack.
_SLACK = ("relay.slack_webhook_url", "relay.slack_bot_token")

#: Time beyond a process's own limit for finishing its work.
_STOP_MARGIN_SECONDS = 5.0

#: What belongs to the URL of a Redis that the settings name.
_REDIS_LOGIN = {"MARKETPLACE_REDIS__USERNAME", "MARKETPLACE_REDIS__PASSWORD"}


@dataclass(frozen=True)
class Ports:
    """Where each process listens; None for what this stack does not start."""

    web: Port
    worker_metrics: Port
    quarantine_metrics: Port
    scheduler_metrics: Port
    valkey: Port | None
    agents: Port | None
    relay: Port | None
    inbox: Port | None

    def all(self) -> dict[str, Port]:
        """Return the ports by purpose."""
        ports = {field.name.replace("_", " "): getattr(self, field.name) for field in fields(self)}
        return {purpose: port for purpose, port in ports.items() if port is not None}

    def moved(self) -> list[tuple[str, Port]]:
        """Return the ports that are not the default ones, each with its purpose."""
        return [(purpose, port) for purpose, port in self.all().items() if port.moved]


def choose_ports(settings: Settings) -> Ports:
    """Choose every port of the stack.

    Raises:
        NetworkError: A port that the settings name is taken, or no port near a default is free.
    """

    def port(setting: str, number: int, default: int, purpose: str) -> Port:
        if origin_of(setting) != "default" and number:
            return chosen_port(number, purpose=purpose)
        return default_port(default, purpose=purpose)

    ports = Ports(
        web=port("web.port", settings.web.port, 8000, "web"),
        worker_metrics=port(
            "worker.metrics_port", settings.worker.metrics_port, WORKER_METRICS_PORT, "metrics of the worker"
        ),
        quarantine_metrics=default_port(QUARANTINE_METRICS_PORT, purpose="metrics of the quarantine worker"),
        scheduler_metrics=port(
            "scheduler.metrics_port",
            settings.scheduler.metrics_port,
            SCHEDULER_METRICS_PORT,
            "metrics of the scheduler",
        ),
        valkey=None if is_given("redis.url") else default_port(VALKEY_PORT, purpose="Valkey"),
        agents=None if is_given("agents.file", "agents.items") else default_port(AGENTS_PORT, purpose="agents"),
        relay=None if is_given("relay.url") else port("relay.port", settings.relay.port, RELAY_PORT, "relay"),
        inbox=None if is_given("relay.url", *_SLACK) else default_port(INBOX_PORT, purpose="Slack inbox"),
    )
    for purpose, taken in ports.all().items():
        if purpose != "web":
            taken.stop_listening()
    return ports


def is_given(*paths: str) -> bool:
    """Tell whether any of these settings, as `group.field`, is set."""
    return any(origin_of(path) != "default" for path in paths)


class Stack:
    """One local stack, planned but not started."""

    def __init__(
        self,
        settings: Settings,
        data: DataDirectory,
        ports: Ports,
        environment: Mapping[str, str],
        observers: ObserverBinaries | None = None,
    ) -> None:
        self.ports = ports
        self.data = data
        self.database_url = (
            settings.database.url.get_secret_value()
            if is_given("database.url")
            else f"sqlite:///{data.path / 'marketplace.db'}"
        )
        self._settings = settings
        self._system = system_part(environment)
        self._started_at = datetime.now(UTC)
        self._run_id = secrets.token_hex(8)
        self._valkey_password = secrets.token_hex(32)
        self._agents = AgentsProgram(ports.agents, data.path / "agents.yaml") if ports.agents else None
        self._alert_path = AlertPath(ports.relay, ports.inbox, data) if ports.relay else None
        self.observers = (
            Observers.planned(observers, self._monitoring(), data.path / "observing") if observers else None
        )
        given = settings_part(environment)
        if ports.valkey:
            # The embedded Valkey has a password of its own, in its URL.
            given = {name: value for name, value in given.items() if name.removesuffix("_FILE") not in _REDIS_LOGIN}
        self._environment = {**self._system, **given, **self._overrides()}

    @property
    def servers(self) -> str:
        """What the stack keeps jobs and data in, in words."""
        redis = "an embedded Valkey" if self.ports.valkey else "the Redis that the settings name"
        return f"{redis} and {'the database that they name' if is_given('database.url') else 'SQLite'}"

    @property
    def urls(self) -> dict[str, str]:
        """Where the stack answers HTTP."""
        web = self.ports.web.url
        urls = {"web": web, "metrics": f"{web}/api/metrics"}
        if self._alert_path:
            urls |= self._alert_path.urls
        if self._agents:
            urls["agents"] = self._agents.url
        if self.observers:
            urls |= self.observers.urls
        return urls

    def moved_ports(self) -> list[tuple[str, Port]]:
        """Return the ports that are not the default ones, each with its purpose."""
        observers = self.observers.ports if self.observers else {}
        return [*self.ports.moved(), *((name, port) for name, port in observers.items() if port.moved)]

    def facts(self, pids: Mapping[str, int]) -> dict[str, Any]:
        """Return what `run.json` says once the processes run."""
        several = {"web", "worker"}
        return {
            "state": "running",
            "runId": self._run_id,
            "urls": self.urls,
            "workerMetrics": [
                f"{port.url}/metrics" for port in (self.ports.worker_metrics, self.ports.quarantine_metrics)
            ],
            "schedulerMetrics": [f"{self.ports.scheduler_metrics.url}/metrics"],
            "pids": {
                "supervisor": os.getpid(),
                **{name: [pid] if name in several else pid for name, pid in pids.items()},
            },
            "database": masked_url(self.database_url),
            "dataDir": str(self.data.path),
            "startedAt": self._started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }

    def write_files(self) -> None:
        """Write what the processes read: the agents' list and Valkey's configuration.

        The logs of the run before are kept as `<process>.log.1`; what it has counted into a shared directory goes.

        Raises:
            ConfigurationError: Other processes count into that directory, or it cannot be emptied.
        """
        shared = self._system.get(DIRECTORY_VARIABLE)
        if shared:
            empty_directory(Path(shared))
        self.data.logs.mkdir(parents=True, exist_ok=True)
        for log in self.data.logs.glob("*.log"):
            log.replace(log.with_suffix(".log.1"))
        if self._agents:
            self._agents.write_file()
        if self.ports.valkey:
            write_valkey_config(
                self.data.path / "valkey", port=self.ports.valkey.number, password=self._valkey_password
            )
        if self.observers:
            path = self._alert_path
            self.observers.write_files(
                self._targets(),
                relay_url=path.alerts_url if path else None,
                relay_token_file=self.data.alertmanager_token if path else None,
            )

    def programs(self) -> list[Program]:
        """Return the programs, which start side by side: the product's own wait for their database by themselves."""
        programs = [self._prepare(), self._web(), self._worker(), self._quarantine(), self._scheduler()]
        if self.ports.valkey:
            programs.append(self._valkey(self.ports.valkey.number))
        if self._agents:
            programs.append(self._agents.program(self._system))
        if self._alert_path:
            programs += self._alert_path.programs(self._environment, self._system)
        if self.observers:
            programs += self.observers.programs(self._system)
        return programs

    def stop_order(self) -> list[str]:
        """Return the names of the programs that keep running, in the order in which they stop."""
        running = {program.name for program in self.programs()}
        return [name for name in STOP_ORDER if name in running]

    def _monitoring(self) -> MonitoringSettings:
        """Return the settings, with runbooks where this stack tells them unless the settings say where."""
        if is_given("monitoring.runbook_url"):
            return self._settings.monitoring
        return self._settings.monitoring.model_copy(update={"runbook_url": f"{self.ports.web.url}/runbooks"})

    def _targets(self) -> list[Targets]:
        ports = self.ports
        jobs: dict[str, tuple[Port, ...]] = {WEB_JOB: (ports.web,)}
        # With a shared directory one endpoint tells the figures of all processes; a second one would double them.
        if not self._system.get(DIRECTORY_VARIABLE):
            jobs[WORKER_JOB] = (ports.worker_metrics, ports.quarantine_metrics)
            jobs[SCHEDULER_JOB] = (ports.scheduler_metrics,)
        if ports.relay:
            jobs[RELAY_JOB] = (ports.relay,)
        return [Targets(job, tuple(f"{LOOPBACK}:{port.number}" for port in of)) for job, of in jobs.items()]

    def _overrides(self) -> dict[str, str]:
        """Return the settings that the stack itself decides."""
        overrides = {
            "MARKETPLACE_WEB__HOST": LOOPBACK,
            "MARKETPLACE_WEB__PORT": str(self.ports.web.number),
            "MARKETPLACE_WORKER__METRICS_HOST": LOOPBACK,
            "MARKETPLACE_WORKER__METRICS_PORT": str(self.ports.worker_metrics.number),
            "MARKETPLACE_SCHEDULER__METRICS_HOST": LOOPBACK,
            "MARKETPLACE_SCHEDULER__METRICS_PORT": str(self.ports.scheduler_metrics.number),
            "MARKETPLACE_DATABASE__URL": self.database_url,
            "MARKETPLACE_PROCESS__DIRECTORY": str(self.data.processes),
        }
        if self.ports.valkey:
            url = f"redis://:{self._valkey_password}@{LOOPBACK}:{self.ports.valkey.number}/0"
            overrides["MARKETPLACE_REDIS__URL"] = url
        if self._agents:
            overrides |= self._agents.overrides()
        if self._alert_path:
            overrides |= self._alert_path.overrides(
                web_url=self.ports.web.url,
                alertmanager_url=self.observers.urls["alertmanager"] if self.observers else None,
            )
        return overrides

    def _prepare(self) -> Program:
        arguments = (sys.executable, "-m", "deploy.local.prepare", str(self.data.admin_token))
        return Program("prepare", arguments, self._environment, once=True)

    def _valkey(self, port: int) -> Program:
        return Program(
            "valkey",
            (str(valkey_binary()), str(self.data.path / "valkey" / "valkey.conf")),
            self._system,
            is_ready=lambda: valkey_answers(port, self._valkey_password),
        )

    def _web(self) -> Program:
        listener = self.ports.web.listener.fileno()
        grace = self._settings.web.graceful_timeout_seconds
        program = self._own("web", self.ports.web, "/api/health/ready", stop_seconds=grace)
        return replace(program, arguments=(*program.arguments, "--fd", str(listener)), sockets=(listener,))

    def _worker(self) -> Program:
        grace = self._settings.worker.shutdown_grace_seconds
        return self._own("worker", self.ports.worker_metrics, "/ready", stop_seconds=grace)

    def _quarantine(self) -> Program:
        port = self.ports.quarantine_metrics
        program = self._own("quarantine", port, "/ready", stop_seconds=self._settings.worker.shutdown_grace_seconds)
        return replace(
            program,
            arguments=(*program.arguments[:-1], "worker", "--quarantine"),
            environment={**program.environment, "MARKETPLACE_WORKER__METRICS_PORT": str(port.number)},
        )

    def _scheduler(self) -> Program:
        # Its deliveries and the jobs that it runs itself end side by side.
        grace = max(self._settings.webhooks.timeout_seconds, self._settings.scheduler.shutdown_grace_seconds)
        return self._own("scheduler", self.ports.scheduler_metrics, "/ready", stop_seconds=grace)

    def _own(self, name: str, port: Port, path: str, *, stop_seconds: float) -> Program:
        return Program(
            name,
            (str(Path(sys.executable).with_name("marketplace")), name),
            self._environment,
            is_ready=lambda: http_answers(port.number, path),
            stop_seconds=stop_seconds + _STOP_MARGIN_SECONDS,
        )
