"""What a set clock does to open jobs, and how it is made good (docs/reference/job-protocol.md, T8e).

Every change sets times to now or counts from now, so it does no harm when several sweepers make it.
"""

from __future__ import annotations

from sqlalchemy import Connection, or_, update

from app.domain.jobs import JobKind, JobStatus
from app.settings import JobSettings
from app.storage.clock import now_plus
from app.storage.schema import deliveries, jobs


def extend_leases(connection: Connection, *, lease_seconds: float) -> int:
    """Let every lease run anew from now: whoever lives renews it, whoever is dead is found later. Returns how many."""
    return connection.execute(
        update(jobs).where(jobs.c.status == JobStatus.ACTIVE).values(lease_until_at=now_plus(lease_seconds))
    ).rowcount


def renew_times(connection: Connection, settings: JobSettings, *, forward: bool) -> int:
    """Bring the times of open jobs, and of events not yet sent, into the hour that the clock now shows.

    Total times begin anew. After a jump forward, what is due begins to wait now: nobody has waited for the hours that
    were skipped. After one backward, what would be due in an hour is due now. Returns how many jobs waited.
    """
    for kind in JobKind:
        connection.execute(
            update(jobs)
            .where(
                jobs.c.status.in_([JobStatus.PENDING, JobStatus.ACTIVE]),
                jobs.c.kind == kind,
                jobs.c.started_at.is_not(None),
            )
            .values(deadline_at=now_plus(settings.total_seconds(kind)))
        )
    waiting = update(jobs).where(jobs.c.status == JobStatus.PENDING)
    if forward:
        return connection.execute(
            waiting.where(jobs.c.available_at < now_plus()).values(available_at=now_plus())
        ).rowcount
    connection.execute(
        update(deliveries)
        .where(deliveries.c.status == "pending", deliveries.c.attempt == 0)
        .values(next_attempt_at=now_plus())
    )
    return connection.execute(
        waiting.where(
            or_(jobs.c.available_at > now_plus(), jobs.c.next_dispatch_at > now_plus(settings.redispatch_seconds))
        ).values(available_at=now_plus(), next_dispatch_at=now_plus())
    ).rowcount
