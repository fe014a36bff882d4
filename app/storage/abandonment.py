"""The end of jobs that no worker takes (docs/reference/job-protocol.md, T9)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, literal, select, update

from app.domain.dead_letters import DEADLINE_EXCEEDED
from app.domain.jobs import JobKind, JobStatus
from app.storage.clock import now_plus, once_now_plus
from app.storage.controls import is_held, switched_within
from app.storage.dead_letters import archive_job
from app.storage.schema import jobs
from app.storage.sweeps import REAPED, ReapedJob, reaped_job

#: Why such a job ended, in words for people.
ABANDONED = "no worker has taken this job for longer than a job is kept waiting, and its total time is over"


def abandon(connection: Connection, kind: JobKind, *, after_seconds: float, limit: int) -> Sequence[ReapedJob]:
    """Fail up to `limit` pending jobs that could have started for so long, and whose total time is over.

    Jobs of a paused or drained queue are kept, and for as long again when it is resumed.
    """
    # A literal, for a partial index serves no parameter.
    pending = jobs.c.status == literal(JobStatus.PENDING.value, literal_execute=True)
    overdue = (
        select(jobs.c.job_id)
        .where(
            pending,
            jobs.c.kind == kind,
            jobs.c.available_at < once_now_plus(-after_seconds),
            jobs.c.deadline_at < now_plus(),
            ~is_held(kind),
            # What they waited in a pause does not count.
            ~switched_within(kind, after_seconds),
        )
        .order_by(jobs.c.available_at)
        .limit(limit)
    )
    rows = connection.execute(
        update(jobs)
        .where(jobs.c.job_id.in_(overdue), pending)
        .values(status=JobStatus.FAILED, error_code=DEADLINE_EXCEEDED, error_message=ABANDONED, completed_at=now_plus())
        .returning(*REAPED)
    ).all()
    for row in rows:
        archive_job(connection, row.job_id, reason=DEADLINE_EXCEEDED, message=ABANDONED)
    return [reaped_job(row) for row in rows]
