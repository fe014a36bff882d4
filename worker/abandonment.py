"""Giving up jobs that no worker takes: nothing stays pending for ever (docs/reference/job-protocol.md, T9)."""

from __future__ import annotations

import structlog

from app.domain.dead_letters import DEADLINE_EXCEEDED
from app.domain.jobs import EventType, JobKind
from app.job_events import record_job_event
from app.job_failures import count_failure, sizes_of
from app.live_metrics import LiveMetrics
from app.settings import JobSettings
from app.storage.abandonment import ABANDONED, abandon
from app.storage.database import Database
from app.storage.plans import fail_analysis

_log = structlog.stdlib.get_logger(__name__)

#: How many jobs of a kind one call gives up: each costs a dead letter, and the others wait for the next call.
_MOST_JOBS = 100


def abandon_overdue(database: Database, settings: JobSettings, metrics: LiveMetrics) -> int:
    """Fail jobs whose total time is over and that no worker has taken for ABANDON; return how many.

    Raises:
        DatabaseUnavailableError: The next call finds the same jobs.
    """
    with database.write() as connection:
        abandoned = [
            job
            for kind in JobKind
            for job in abandon(connection, kind, after_seconds=settings.abandon_after_seconds, limit=_MOST_JOBS)
        ]
        for job in abandoned:
            if job.kind is JobKind.ANALYSIS:
                fail_analysis(connection, job.plan_id)
            record_job_event(
                database,
                connection,
                EventType.FAILED,
                job_id=job.job_id,
                plan_id=job.plan_id,
                kind=job.kind,
                status=job.status,
                fence=job.fence,
                attempt=job.attempt_number,
                errorCode=DEADLINE_EXCEEDED,
                error=ABANDONED,
            )
        sizes = sizes_of(connection, {job.plan_id for job in abandoned})
    for job in abandoned:
        count_failure(metrics, job.kind, code=DEADLINE_EXCEEDED, retries=job.error_count, size=sizes[job.plan_id])
        _log.error("job_abandoned", job_id=str(job.job_id), plan_id=str(job.plan_id), error_code=DEADLINE_EXCEEDED)
    return len(abandoned)
