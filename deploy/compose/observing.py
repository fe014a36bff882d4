"""The configurations of Prometheus and Alertmanager in deploy/compose.yaml, and its simulated agents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from alerting.alertmanager import alertmanager_file
from app.domain.observers import ALERTMANAGER_JOB, PROMETHEUS_JOB, RELAY_JOB
from app.settings.monitoring import MonitoringSettings
from deploy.artifacts.rule_documents import ALERT_FILE, RECORDING_FILE
from deploy.local.agents_program import agents_document
from monitoring.provisioning import NOTICE
from monitoring.scraping import SCHEDULER_JOB, WEB_JOB, WORKER_JOB, DnsTargets, Targets, prometheus_config

#: Label `environment` of every series and alert; the rules are those of the default settings.
ENVIRONMENT = "compose"

#: Names and ports within the network of the containers; the names are those of the services.
WEB_PORT = 8000
RELAY_PORT = 8200
WORKER_METRICS_PORT = 9101
SCHEDULER_METRICS_PORT = 9102
_ALERTMANAGER = "alertmanager:9093"

#: Where Alertmanager finds the token that it shows the relay.
TOKEN_FILE = Path("/run/secrets/alertmanager-token")


def prometheus_document() -> str:
    """Return the configuration of Prometheus.

    Docker's name server tells the address of each container of a service, so that workers are found however many there
    are. It forgets those that do not run: what is there once is named, so that `up` tells when it is gone.
    """
    config = prometheus_config(
        MonitoringSettings(environment=ENVIRONMENT),
        (
            Targets(WEB_JOB, (f"web:{WEB_PORT}",)),
            DnsTargets(WORKER_JOB, ("worker", "quarantine"), WORKER_METRICS_PORT),
            DnsTargets(SCHEDULER_JOB, ("scheduler",), SCHEDULER_METRICS_PORT),
            Targets(RELAY_JOB, (f"relay:{RELAY_PORT}",)),
            Targets(PROMETHEUS_JOB, ("127.0.0.1:9090",)),
            Targets(ALERTMANAGER_JOB, (_ALERTMANAGER,)),
        ),
        rules=[RECORDING_FILE, ALERT_FILE],
        alertmanagers=[_ALERTMANAGER],
    )
    return f"{NOTICE}\n{yaml.safe_dump(dict(config), sort_keys=False)}"


def alertmanager_document() -> str:
    """Return the configuration of Alertmanager."""
    return alertmanager_file(f"http://relay:{RELAY_PORT}/alerts", TOKEN_FILE)


def demo_agents() -> str:
    """Return the list of the simulated agents."""
    return f"{NOTICE}\n{agents_document('http://agents:8100')}"


#: Path within the repository, and the function that returns its text.
COMPOSE_FILES: Mapping[str, Callable[[], str]] = {
    "deploy/compose/prometheus.yml": prometheus_document,
    "deploy/compose/alertmanager.yml": alertmanager_document,
    "deploy/compose/demo-agents.yaml": demo_agents,
}
