"""Approved plans whose jobs wait, as the API leaves them, but many in one transaction."""

from __future__ import annotations

import random
from uuid import UUID

from app.domain.jobs import JobKind, PlanStatus
from app.domain.plan import AnalysisPlan
from app.job_events import insert_announced_job
from app.live_metrics import LiveMetrics
from app.settings import JobSettings
from app.storage.database import Database
from app.storage.plans import approve_plan, insert_plan
from loadtest.plans import ready_plan

#: Tasks of every plan.
TASKS = 5

_BATCH = 500


def seed_jobs(database: Database, count: int, *, seed: int) -> list[UUID]:
    """Create this many approved plans and return the ids of their pending jobs."""
    chance = random.Random(seed)
    metrics = LiveMetrics()
    job_ids: list[UUID] = []
    for start in range(0, count, _BATCH):
        with database.write() as connection:
            for _ in range(start, min(start + _BATCH, count)):
                body = ready_plan(chance, "amazon", tasks=TASKS)
                plan = AnalysisPlan.model_validate(body["planData"])
                plan_id = insert_plan(
                    connection,
                    title=str(body["title"]),
                    status=PlanStatus.AWAITING_APPROVAL,
                    origin="import",
                    channels=["amazon"],
                    created_by="bench",
                    plan_data=plan.model_dump(mode="json", by_alias=True),
                )
                approve_plan(connection, plan_id, actor="bench")
                job_ids.append(
                    insert_announced_job(
                        database,
                        connection,
                        JobSettings(),
                        metrics,
                        plan_id=plan_id,
                        kind=JobKind.PHASE1,
                        request_id=None,
                    )
                )
    return job_ids
