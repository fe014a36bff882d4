"""Notices: what the relay is to be told, written only inside the transaction that they report.

A database that was opened with the name of an environment keeps them; any other one does without, for there is no
relay to tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID, uuid5

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from app.domain.alerts import Alert
from app.domain.notices import MOST_CHARACTERS, Notice, NoticeState
from app.domain.plain_text import plain_text
from app.storage.clock import database_now
from app.storage.database import notices_of
from app.storage.schema import notices

#: Name space of the ids of notices.
_IDS = UUID("d3a1f3a8-5a3e-4c7b-9a51-6f2b6c1c9d10")

#: Longest code and longest name of an agent that a notice holds.
_MOST_OF_A_NAME = 100


def notice_id(*told_of: object) -> UUID:
    """Return the id of the notice that tells of this; it is the same for whoever tells of the same."""
    return uuid5(_IDS, ":".join(map(str, told_of)))


def tell_firing(
    connection: Connection,
    identity: UUID,
    alert: Alert,
    subject: Mapping[str, str],
    *,
    summary: str,
    action: str,
    plan_id: UUID | None = None,
    job_id: UUID | None = None,
    agent: str | None = None,
    error_code: str | None = None,
    error: str | None = None,
) -> None:
    """Tell that something began, in the caller's transaction; again with the same id changes nothing.

    Texts are cut to what a notice may hold.
    """
    environment = notices_of(connection)
    if environment is None:
        return
    _record(
        connection,
        Notice(
            id=identity,
            alert=alert.name,
            state=NoticeState.FIRING,
            at=database_now(connection),
            environment=environment,
            subject=subject,
            summary=_cut(summary),
            plan_id=plan_id,
            job_id=job_id,
            agent=agent and _cut(agent, _MOST_OF_A_NAME),
            error_code=error_code and _cut(error_code, _MOST_OF_A_NAME),
            error=error and _cut(error),
            action=_cut(action),
        ),
        issue_of(alert, subject),
    )


def tell_resolved(
    connection: Connection,
    alert: Alert,
    subject: Mapping[str, str],
    *,
    summary: str,
    plan_id: UUID | None = None,
    job_id: UUID | None = None,
    agent: str | None = None,
) -> None:
    """Tell that something ended, unless nobody was told that it had begun; in the caller's transaction."""
    environment = notices_of(connection)
    if environment is None:
        return
    issue = issue_of(alert, subject)
    begun = _newest_firing(connection, issue)
    if begun is None:
        return
    _record(
        connection,
        Notice(
            # It follows from what ended: of several that notice it at once, one tells.
            id=notice_id(begun, NoticeState.RESOLVED),
            alert=alert.name,
            state=NoticeState.RESOLVED,
            at=database_now(connection),
            environment=environment,
            subject=subject,
            summary=_cut(summary),
            plan_id=plan_id,
            job_id=job_id,
            agent=agent,
        ),
        issue,
    )


def is_told_firing(connection: Connection, alert: Alert, subject: Mapping[str, str]) -> bool:
    """Tell whether the last notice of this issue told that it began."""
    return notices_of(connection) is not None and _newest_firing(connection, issue_of(alert, subject)) is not None


def issue_of(alert: Alert, subject: Mapping[str, str]) -> str:
    """Return what notices of one issue have in common.

    >>> from app.domain.alerts import CIRCUIT_OPENED
    >>> issue_of(CIRCUIT_OPENED, {"agent": "kaway"})
    'MarketplaceCircuitOpened/agent=kaway'
    """
    return "/".join([alert.name, *(f"{label}={subject[label]}" for label in sorted(subject))])


def _newest_firing(connection: Connection, issue: str) -> UUID | None:
    newest = connection.execute(_NEWEST, {"the_issue": issue}).one_or_none()
    return None if newest is None or newest.state != NoticeState.FIRING else newest.id


def _record(connection: Connection, notice: Notice, issue: str) -> None:
    connection.execute(
        _INSERT[connection.dialect.name],
        {
            "id": notice.id,
            "alert": notice.alert,
            "issue": issue,
            "state": notice.state,
            "data": notice.model_dump(mode="json", by_alias=True, exclude_none=True),
            "next_attempt_at": notice.at,
            "created_at": notice.at,
        },
    )


def _cut(text: str, length: int = MOST_CHARACTERS) -> str:
    return plain_text(text[:length])


_NEWEST = (
    select(notices.c.id, notices.c.state)
    .where(notices.c.issue == bindparam("the_issue"))
    .order_by(notices.c.number.desc())
    .limit(1)
)
_INSERT = {
    name: dialect.insert(notices).on_conflict_do_nothing(index_elements=[notices.c.id])
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}
