"""What metrics tell of jobs that failed for good."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy import Connection

from app.domain.dead_letters import error_class_of
from app.domain.jobs import JobKind
from app.domain.plan_size import PlanSize, plan_size
from app.live_metrics import LiveMetrics
from app.metrics import JOB_RETRIES, JOBS_FAILED
from app.storage.plan_reads import count_opportunities


def sizes_of(connection: Connection, plan_ids: Collection[UUID]) -> Mapping[UUID, PlanSize]:
    """Return how large each of these plans is."""
    counts = count_opportunities(connection, plan_ids)
    return {plan_id: plan_size(counts.get(plan_id, 0)) for plan_id in plan_ids}


def count_failure(metrics: LiveMetrics, kind: JobKind, *, code: str, retries: int, size: PlanSize) -> None:
    """Count a job that failed for good, once that is committed; `code` is that of its last error."""
    metrics.observe(JOB_RETRIES, retries, kind=kind, outcome="failed")
    metrics.count(JOBS_FAILED, kind=kind, error_class=error_class_of(code), plan_size=size)
