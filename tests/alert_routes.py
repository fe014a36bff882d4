"""The receivers that Alertmanager sends an alert to, by its own judgement."""

from __future__ import annotations

from pathlib import Path

from app.domain.alerts import Alert
from tests.prometheus_tools import amtool


def receivers_of(alert: Alert, configuration: Path, **labels: str) -> list[str]:
    """Return the names of the receivers, in the order of their routes; `labels` are added to the usual ones."""
    all_labels = {"alertname": alert.name, "severity": alert.severity, "environment": "test", **labels}
    result = amtool(
        "config",
        "routes",
        "test",
        f"--config.file={configuration}",
        *(f"{name}={value}" for name, value in all_labels.items()),
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.strip().split(",")
