"""What Prometheus scrapes, and with which labels: the configuration of a Prometheus beside one installation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.observers import ALERTMANAGER_JOB, PROMETHEUS_JOB, RELAY_JOB
from app.settings import MonitoringSettings

#: Value of the label `job` for each of our processes, and where it answers. A quarantine worker is a worker.
WEB_JOB = "marketplace-web"
WORKER_JOB = "marketplace-worker"
SCHEDULER_JOB = "marketplace-scheduler"
METRICS_PATHS = {
    WEB_JOB: "/api/metrics",
    WORKER_JOB: "/metrics",
    SCHEDULER_JOB: "/metrics",
    # The observers themselves, so that their own failures show.
    RELAY_JOB: "/metrics",
    PROMETHEUS_JOB: "/metrics",
    ALERTMANAGER_JOB: "/metrics",
}


@dataclass(frozen=True)
class Targets:
    """The addresses of one job, as `host:port`."""

    job: str
    addresses: tuple[str, ...]


def prometheus_config(
    settings: MonitoringSettings, targets: Sequence[Targets], *, rules: Sequence[str], alertmanagers: Sequence[str]
) -> Mapping[str, Any]:
    """Return the configuration, to be written as YAML.

    `rules` are paths of rule files, relative to the file that this is written to. How long data are kept is no part of
    it but an argument of the server, see `retention_argument`.
    Source: https://prometheus.io/docs/prometheus/latest/configuration/configuration/
    """
    every = f"{settings.scrape_seconds}s"
    return {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "rule_files": list(rules),
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": list(alertmanagers)}]}]},
        "scrape_configs": [
            {
                "job_name": target.job,
                "metrics_path": METRICS_PATHS[target.job],
                "static_configs": [
                    {"targets": list(target.addresses), "labels": {"environment": settings.environment}}
                ],
            }
            for target in targets
        ],
    }


def retention_argument(settings: MonitoringSettings) -> str:
    """Return the argument of Prometheus that says how long it keeps data.

    >>> retention_argument(MonitoringSettings())
    '--storage.tsdb.retention.time=24h'
    """
    return f"--storage.tsdb.retention.time={settings.retention_hours}h"
