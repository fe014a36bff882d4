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

#: How often names are looked up again. A pod that has gone is missed for so long, and `MarketplaceTargetDown` waits
#: for a minute.
_REFRESH_SECONDS = 10


@dataclass(frozen=True)
class Targets:
    """The addresses of one job, as `host:port`."""

    job: str
    addresses: tuple[str, ...]

    def discovery(self, environment: str) -> Mapping[str, Any]:
        """Return the part of a scrape configuration that says where the processes are."""
        return {"static_configs": [{"targets": list(self.addresses), "labels": {"environment": environment}}]}


@dataclass(frozen=True)
class DnsTargets:
    """The processes of one job that a name server lists, one address each, and the port that all of them have.

    A Kubernetes service without an address of its own is such a name: Prometheus then needs no right to ask the
    cluster. Their label `instance` is the address of the pod and not its name.
    """

    job: str
    names: tuple[str, ...]
    port: int

    def discovery(self, environment: str) -> Mapping[str, Any]:
        """Return the part of a scrape configuration that says where the processes are."""
        return {
            "dns_sd_configs": [
                {"names": list(self.names), "type": "A", "port": self.port, "refresh_interval": f"{_REFRESH_SECONDS}s"}
            ],
            # These have no `labels` of their own.
            "relabel_configs": [{"target_label": "environment", "replacement": environment}],
        }


def prometheus_config(
    settings: MonitoringSettings,
    targets: Sequence[Targets | DnsTargets],
    *,
    rules: Sequence[str],
    alertmanagers: Sequence[str],
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
                **target.discovery(settings.environment),
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
