"""Cards: what one message says, whatever draws it. They are kept as JSON while they wait."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from alerting.signals import Signal
from app.domain.alerts import AlertType, Severity


class MessageKind(StrEnum):
    """Why a message is sent."""

    FIRING = "firing"
    """An issue began, or got worse."""
    UPDATE = "update"
    """An issue goes on: it came again within the window, or it is time for a reminder."""
    RECOVERY = "recovery"
    """An issue that was told of has ended."""


class Links(BaseModel):
    """Where the buttons of a message lead; None for those it does not have."""

    model_config = ConfigDict(frozen=True)

    runbook: str | None = None
    dashboard: str | None = None
    job: str | None = None
    silence: str | None = None


class Card(BaseModel):
    """Everything that a message says; the texts are untrusted and of any length."""

    model_config = ConfigDict(frozen=True)

    kind: MessageKind
    issue: str
    alert: str
    type: AlertType
    severity: Severity
    environment: str
    #: What happened, in one line.
    title: str
    description: str = ""
    subject: dict[str, str] = {}
    plan_id: UUID | None = None
    job_id: UUID | None = None
    agent: str | None = None
    error_code: str | None = None
    error: str | None = None
    #: What the system has done by itself.
    action: str = ""
    #: What a person should do.
    advice: str = ""
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    #: How often it came since without a message of its own, and since when.
    suppressed: int = 0
    suppressed_since: AwareDatetime | None = None
    links: Links = Links()


def make_card(
    signal: Signal,
    kind: MessageKind,
    *,
    severity: Severity,
    started_at: datetime,
    ended_at: datetime | None = None,
    suppressed: int = 0,
    suppressed_since: datetime | None = None,
    links: Links | None = None,
) -> Card:
    """Return the card for a message on an issue; `signal` is the last one that told of it, `severity` its worst now."""
    return Card(
        kind=kind,
        issue=signal.issue,
        alert=signal.alert,
        type=AlertType.RECOVERY_SUCCESS if kind is MessageKind.RECOVERY else signal.type,
        severity=severity,
        environment=signal.environment,
        title=signal.summary,
        description=signal.description,
        subject=dict(signal.subject),
        plan_id=signal.plan_id,
        job_id=signal.job_id,
        agent=signal.agent,
        error_code=signal.error_code,
        error=signal.error,
        action=signal.action or "",
        started_at=started_at,
        ended_at=ended_at,
        suppressed=suppressed,
        suppressed_since=suppressed_since,
        links=links or Links(),
    )
