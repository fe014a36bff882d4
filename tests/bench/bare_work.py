"""The work of the bare actor: the rows of one job, written the plain way.

Per job it makes the transactions that show the job as active and then as completed: update the job, insert its attempt
and its event; then update the job, its attempt and its plan, insert the tasks and the event. What it leaves out is what
the product adds: conditions, fences, leases, heartbeats, deadlines, retries by row, metrics and logs.
"""

from __future__ import annotations

from uuid import UUID, uuid4

from sqlalchemy import Insert, insert, select, update

from app.domain.jobs import AttemptOutcome, EventType, JobStatus
from app.domain.plan import AnalysisPlan
from app.domain.tasks import PHASE, TaskSource, task_id, tasks_of_phase
from app.storage.clock import now_plus
from app.storage.database import Database
from app.storage.schema import attempts, events, jobs, plans, tasks


def create_tasks_plainly(database: Database, job_id: UUID) -> None:
    """Create the tasks of an approved plan."""
    with database.write() as connection:
        plan_id = connection.execute(
            update(jobs)
            .where(jobs.c.job_id == job_id)
            .values(
                status=JobStatus.ACTIVE,
                attempt_number=1,
                fence=1,
                lease_owner="bare",
                lease_until_at=now_plus(60),
                started_at=now_plus(),
            )
            .returning(jobs.c.plan_id)
        ).scalar_one()
        connection.execute(
            insert(attempts).values(
                job_id=job_id,
                fence=1,
                attempt_number=1,
                worker="bare",
                started_at=now_plus(),
                outcome=AttemptOutcome.RUNNING,
            )
        )
        connection.execute(_event(EventType.ACTIVE, job_id, plan_id))
    with database.read() as connection:
        plan = connection.execute(select(plans.c.plan_data, plans.c.channels).where(plans.c.id == plan_id)).one()
    phase = AnalysisPlan.model_validate(plan.plan_data).phase(PHASE)
    assert phase is not None
    found = tasks_of_phase(phase, plan.channels)
    with database.write() as connection:
        connection.execute(
            update(jobs)
            .where(jobs.c.job_id == job_id)
            .values(
                status=JobStatus.COMPLETED,
                progress=100,
                result={"source": "plan", "taskCount": len(found)},
                completed_at=now_plus(),
                lease_owner=None,
                lease_until_at=None,
            )
        )
        connection.execute(
            update(attempts)
            .where(attempts.c.job_id == job_id)
            .values(ended_at=now_plus(), outcome=AttemptOutcome.COMPLETED)
        )
        connection.execute(update(plans).where(plans.c.id == plan_id).values(phase1_job_id=job_id))
        connection.execute(
            insert(tasks).values(created_at=now_plus()),
            [
                {
                    "id": task_id(plan_id, task.item_key),
                    "plan_id": plan_id,
                    "phase": PHASE,
                    "item_key": task.item_key,
                    "position": position,
                    "title": task.title,
                    "description": task.description,
                    "channel": task.channel,
                    "priority": task.priority,
                    "source": TaskSource.PLAN,
                    "needs_review": False,
                    "job_id": job_id,
                    "fence": 1,
                }
                for position, task in enumerate(found)
            ],
        )
        connection.execute(_event(EventType.COMPLETED, job_id, plan_id))


def _event(event_type: EventType, job_id: UUID, plan_id: UUID) -> Insert:
    return insert(events).values(
        id=uuid4(),
        type=event_type,
        job_id=job_id,
        plan_id=plan_id,
        data={"jobId": str(job_id), "planId": str(plan_id)},
        created_at=now_plus(),
    )
