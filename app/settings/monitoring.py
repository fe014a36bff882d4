"""The group `monitoring`: what rules, dashboards and the local Prometheus are made for."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from app.settings.groups import Group


class MonitoringSettings(Group):
    """Prometheus, its rules, and the pages that alerts link to."""

    retention_hours: Annotated[int, Field(ge=2, le=87_600)] = 24
    """How long Prometheus keeps what it scraped. Rules whose windows are longer than half of it are not generated."""
    scrape_seconds: Annotated[int, Field(ge=1, le=15)] = 5
    """Prometheus scrapes every process, and evaluates the rules, this often; rates over a minute need four scrapes."""
    environment: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")] = "local"
    """Label of every series and alert: which installation it is."""
    runbook_url: str = "http://127.0.0.1:8000/runbooks"
    """Where runbooks are; an alert links to `<this>/<name of the alert>`."""
    grafana_url: str = "http://127.0.0.1:3000"
    """Where Grafana is; an alert links to `<this>/d/<uid of a dashboard>`."""

    @field_validator("runbook_url", "grafana_url")
    @classmethod
    def _is_web(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/")
