"""Delivery of notices to the relay: the job protocol in small, in order for each issue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    TextClause,
    delete,
    func,
    or_,
    select,
    update,
)

from app.domain.notices import NoticeState
from app.storage.clock import now_plus, once_now_plus
from app.storage.schema import UNDELIVERED, notices

#: A notice that the relay has not taken within this time is told to nobody any more: what it tells of is over.
EXPIRES_SECONDS = 86_400.0

#: What was delivered is kept for so long, and the last notice of an issue that goes on for as long as it does.
_KEPT_SECONDS = 86_400.0


@dataclass(frozen=True)
class ClaimedNotice:
    """A notice that this process may send now; `fence` goes into the write that ends the attempt."""

    id: UUID
    issue: str
    #: app.domain.notices.Notice as JSON.
    data: Mapping[str, Any]
    fence: int
    #: This attempt's number, from 1.
    attempt: int
    #: The error of the attempt before.
    error_message: str | None


@dataclass(frozen=True)
class WaitingNotices:
    """How many notices the relay does not have yet, and for how long the oldest of them has waited."""

    count: int
    oldest_seconds: float


def is_notice_due(connection: Connection) -> bool:
    """Tell whether there is anything to claim: most of the time there is not, and reading takes no lock."""
    return connection.scalar(select(notices.c.id).where(*_ready()).limit(1)) is not None


def claim_notices(connection: Connection, *, owner: str, lease_seconds: float, limit: int) -> Sequence[ClaimedNotice]:
    """Take up to `limit` notices that are due, in the order in which they were written.

    Those of one issue are taken in this order only: none before one that is on its way, or that waits for its next
    attempt.
    """
    due = connection.execute(
        select(notices.c.id, notices.c.issue).where(*_ready()).order_by(notices.c.number).limit(limit)
    ).all()
    claimed: list[ClaimedNotice] = []
    taken_by_another = set()
    for notice in due:
        if notice.issue in taken_by_another:
            continue
        row = connection.execute(
            update(notices)
            .where(notices.c.id == notice.id, *_due())
            .values(
                status="active",
                attempt=notices.c.attempt + 1,
                fence=notices.c.fence + 1,
                lease_owner=owner,
                # An attempt whose process dies is due again when its lease ends.
                next_attempt_at=now_plus(lease_seconds),
            )
            .returning(*(notices.c[field] for field in ClaimedNotice.__dataclass_fields__))
        ).one_or_none()
        if row is None:
            taken_by_another.add(notice.issue)
        else:
            claimed.append(ClaimedNotice(*row))
    return claimed


def end_notice(connection: Connection, notice: ClaimedNotice) -> bool:
    """Write that the relay has taken a notice; False when it was no longer ours."""
    return _end(connection, notice, status="delivered", ended_at=now_plus(), error_message=None)


def put_back_notice(
    connection: Connection, notice: ClaimedNotice, *, error: str | None = None, delay_seconds: float = 0.0
) -> bool:
    """Make a notice due again after `delay_seconds`, with the error of this attempt if there was one.

    False when it was no longer ours.
    """
    return _end(
        connection,
        notice,
        status="pending",
        next_attempt_at=now_plus(delay_seconds),
        error_message=error or notice.error_message,
    )


def give_back_notices(connection: Connection, owner: str) -> int:
    """Make every notice that a dead owner was at due now; returns how many."""
    return connection.execute(
        update(notices)
        .where(UNDELIVERED, notices.c.lease_owner == owner)
        .values(status="pending", next_attempt_at=now_plus(), lease_owner=None)
    ).rowcount


def expire_notices(connection: Connection) -> Sequence[tuple[UUID, str]]:
    """End what has waited for too long; return the ids and the alerts."""
    rows = connection.execute(
        update(notices)
        .where(UNDELIVERED, notices.c.created_at <= once_now_plus(-EXPIRES_SECONDS))
        .values(status="expired", ended_at=now_plus(), lease_owner=None)
        .returning(notices.c.id, notices.c.alert)
    )
    return [(row.id, row.alert) for row in rows]


def forget_notices(connection: Connection, *, limit: int) -> int:
    """Delete up to `limit` notices that ended long ago; returns how many.

    The last one of an issue stays while it tells that the issue began, for what ends it looks for that.
    """
    later = notices.alias("later")
    superseded = select(later.c.id).where(later.c.issue == notices.c.issue, later.c.number > notices.c.number).exists()
    old = (
        select(notices.c.number)
        .where(
            notices.c.ended_at <= once_now_plus(-_KEPT_SECONDS),
            or_(notices.c.state == NoticeState.RESOLVED, superseded),
        )
        .limit(limit)
    )
    return connection.execute(delete(notices).where(notices.c.number.in_(old))).rowcount


def waiting_notices(connection: Connection) -> WaitingNotices:
    """Count what the relay does not have yet."""
    row = connection.execute(
        select(func.count().label("number"), (now_plus() - func.min(notices.c.created_at)).label("age")).where(
            UNDELIVERED
        )
    ).one()
    return WaitingNotices(row.number, max(row.age or 0, 0) / 1000)


def _end(connection: Connection, notice: ClaimedNotice, **values: object) -> bool:
    statement = (
        update(notices)
        .where(notices.c.id == notice.id, notices.c.fence == notice.fence, notices.c.status == "active")
        .values(lease_owner=None, **values)
    )
    return connection.execute(statement).rowcount == 1


def _due() -> tuple[TextClause | ColumnElement[bool], ...]:
    return UNDELIVERED, notices.c.next_attempt_at <= once_now_plus()


def _ready() -> tuple[TextClause | ColumnElement[bool], ...]:
    """Return the conditions of a notice that is due, and whose issue has none on its way or in a pause."""
    # Asked once, and not for each notice: thousands may wait, and few of them are held.
    held = select(notices.c.issue).where(UNDELIVERED, notices.c.next_attempt_at > once_now_plus())
    return *_due(), notices.c.issue.not_in(held)
