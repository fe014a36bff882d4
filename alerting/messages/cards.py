"""Cards: what one message says, whatever draws it. They are kept as JSON while they wait."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from alerting.messages.advice import advice_on
from alerting.signals import Signal
from app.domain.alerts import AlertType, Severity
from app.domain.plain_text import plain_text

#: Longest text of a card that `make_card` makes: a message shows less, and many may wait.
_MOST_CHARACTERS = 4000


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
    #: How many messages on its issue it stands for, and how often it came by what they say themselves: a message at the
    #: end of the window, or a recovery, tells of nothing new. In a digest, of all that wait.
    messages: int = 1
    occurrences: int = 1
    links: Links = Links()


def make_card(
    signal: Signal,
    kind: MessageKind,
    *,
    severity: Severity,
    started_at: datetime,
    ended_at: datetime | None = None,
    occurrences: int = 1,
    suppressed: int = 0,
    suppressed_since: datetime | None = None,
    links: Links | None = None,
) -> Card:
    """Return the card for a message on an issue; `signal` is the last one that told of it, `severity` its worst now.

    What the signal does not say of itself, the catalogue does; an action that it tells wins.
    """
    advice = advice_on(signal.alert, signal.summary)
    ends = kind is MessageKind.RECOVERY
    ended_at = (ended_at or signal.at) if ends else ended_at
    subject = {_kept(label): _kept(value) for label, value in signal.subject.items()}
    return Card(
        kind=kind,
        issue=_kept(signal.issue),
        alert=_kept(signal.alert),
        type=AlertType.RECOVERY_SUCCESS if ends else signal.type,
        severity=severity,
        environment=_kept(signal.environment),
        title=advice.recovery_title(subject, ended_at - started_at) if ends and ended_at else _kept(signal.summary),
        description="" if ends else _kept(signal.description),
        subject=subject,
        plan_id=signal.plan_id,
        job_id=signal.job_id,
        agent=_kept(signal.agent) or None,
        # Of what has ended, the error is history, and so is what was done when it began.
        error_code=None if ends else _kept(signal.error_code) or None,
        error=None if ends else _kept(signal.error) or None,
        action=_kept(None if ends and signal.firing else signal.action) or ("" if ends else advice.action),
        advice=advice.after if ends else advice.advice,
        started_at=started_at,
        ended_at=ended_at,
        occurrences=occurrences,
        suppressed=suppressed,
        suppressed_since=suppressed_since,
        links=links or Links(),
    )


def _kept(text: str | None) -> str:
    """Return the beginning of a text without what JSON and SQLite refuse."""
    return plain_text((text or "")[:_MOST_CHARACTERS])
