"""Taking back what nobody works on any more (docs/reference/job-protocol.md, T7); any process may do it at any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import UUID

import structlog
from sqlalchemy import Connection

from app.domain.jobs import EventType, JobKind, JobStatus, LossCause
from app.domain.plan_size import PlanSize
from app.job_events import record_job_event
from app.job_failures import count_failure, sizes_of
from app.live_metrics import LiveMetrics
from app.metrics import LEASES_REAPED
from app.presence import dead_owners
from app.storage import sweeps
from app.storage.database import Database
from app.storage.deliveries import give_back_deliveries
from app.storage.notice_deliveries import give_back_notices
from app.storage.plans import fail_analysis
from app.storage.processes import remove_process
from app.storage.sweeps import CRASH_ERROR, ReapedJob

_log = structlog.stdlib.get_logger(__name__)


def reap_expired(database: Database, metrics: LiveMetrics, *, crash_limit: int) -> int:
    """Take back every job whose lease ran out; return how many.

    Raises:
        DatabaseUnavailableError: Nothing was taken back.
    """
    with database.write() as connection:
        reaped = sweeps.reap(connection, crash_limit=crash_limit)
        sizes = _record(database, connection, reaped, LossCause.LEASE_EXPIRED)
    _tell(metrics, reaped, sizes, LossCause.LEASE_EXPIRED)
    return len(reaped)


def reap_dead(database: Database, metrics: LiveMetrics, directory: Path, *, crash_limit: int) -> int:
    """Take back at once what the dead processes of this host held; return how many jobs.

    `directory` is where processes show their presence. Hints that they had fetched are sent again, their deliveries
    and notices are due, their rows go.

    Raises:
        DatabaseUnavailableError: The dead are found again at the next call.
    """
    taken = 0
    with dead_owners(directory) as owners:
        for owner in owners:
            with database.write() as connection:
                reaped = sweeps.give_back(connection, owner, crash_limit=crash_limit)
                sizes = _record(database, connection, reaped, LossCause.PROCESS_DIED)
                deliveries = give_back_deliveries(connection, owner)
                notices = give_back_notices(connection, owner)
                hints = sweeps.renew_hints(connection)
                remove_process(connection, owner)
            _log.warning(
                "process_died", owner=owner, jobs=len(reaped), deliveries=deliveries, notices=notices, hints=hints
            )
            _tell(metrics, reaped, sizes, LossCause.PROCESS_DIED)
            taken += len(reaped)
    return taken


def _record(
    database: Database, connection: Connection, reaped: Sequence[ReapedJob], cause: LossCause
) -> Mapping[UUID, PlanSize]:
    """Write what happened to each job; return how large the plans of those are that failed."""
    for job in reaped:
        failed = job.status is JobStatus.FAILED
        if failed and job.kind is JobKind.ANALYSIS:
            fail_analysis(connection, job.plan_id)
        record_job_event(
            database,
            connection,
            EventType.FAILED if failed else EventType.ENQUEUED,
            job_id=job.job_id,
            plan_id=job.plan_id,
            kind=job.kind,
            status=job.status,
            fence=job.fence,
            attempt=job.attempt_number,
            **({"errorCode": CRASH_ERROR["error_code"]} if failed else {"reason": cause}),
        )
    return sizes_of(connection, {job.plan_id for job in reaped if job.status is JobStatus.FAILED})


def _tell(metrics: LiveMetrics, reaped: Sequence[ReapedJob], sizes: Mapping[UUID, PlanSize], cause: LossCause) -> None:
    for job in reaped:
        metrics.count(LEASES_REAPED, kind=job.kind, cause=cause)
        if job.status is JobStatus.FAILED:
            count_failure(
                metrics,
                job.kind,
                code=CRASH_ERROR["error_code"],
                retries=job.error_count,
                size=sizes[job.plan_id],
            )
        _log.warning(
            "lease_reaped",
            job_id=str(job.job_id),
            plan_id=str(job.plan_id),
            status=job.status,
            attempt=job.attempt_number,
            error_code=cause,
        )
