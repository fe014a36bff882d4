"""The group `monitoring`: what rules, dashboards and the local Prometheus are made for."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from app.settings.groups import Group

_WEB = ("http://", "https://")


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
    second_webhook_url: SecretStr | None = None
    """A webhook that Alertmanager tells, as JSON, when the relay is away or cannot tell Slack."""
    email_to: str | None = None
    """An address that Alertmanager writes to in the same case."""
    email_from: str | None = None
    """The sender of these mails."""
    email_smarthost: Annotated[str, Field(pattern=r"^\S+:\d{1,5}$")] | None = None
    """The server that takes these mails from Alertmanager without a password, as `host:port`."""
    email_tls: bool = True
    """Whether that server must speak TLS (STARTTLS)."""

    @field_validator("runbook_url", "grafana_url")
    @classmethod
    def _is_web(cls, value: str) -> str:
        if not value.startswith(_WEB):
            raise ValueError(f"must begin with {' or '.join(_WEB)}")
        return value.rstrip("/")

    @field_validator("second_webhook_url")
    @classmethod
    def _is_secret_web(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(_WEB):
            raise ValueError(f"must begin with {' or '.join(_WEB)}")
        return value

    @model_validator(mode="after")
    def _can_send_mail(self) -> Self:
        if self.email_to is not None and None in (self.email_from, self.email_smarthost):
            raise ValueError("email_to needs email_from and email_smarthost")
        return self
