"""The verdict on a run, from the database alone: what was lost, done twice, or never came to an end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select

from app.domain.jobs import EventType, JobKind, JobStatus
from app.storage.database import Database
from app.storage.schema import dead_letters, events, jobs, plans, tasks

#: Parameters of one statement: SQLite takes 32,766.
_CHUNK = 5_000


@dataclass(frozen=True)
class Verdict:
    """Counts of plans; each one is 0 after a good run, `completed` but for this."""

    completed: int
    #: Approved plans without a job, or whose job completed without its tasks.
    lost: int
    #: Plans with tasks of two jobs, more or fewer tasks than their job says, or two completions.
    duplicated: int
    #: Plans whose job is neither completed nor failed.
    stuck: int
    #: Plans whose job failed for good, each with its dead letter.
    dead: int
    #: Runs that ended with their process, and answers of theirs that came too late.
    crashes: int
    last_completed_at: datetime | None

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost, doubled, stuck or dead."""
        return not (self.lost or self.duplicated or self.stuck or self.dead)


def judge(database: Database, plan_ids: Sequence[UUID]) -> Verdict:
    """Look at what became of these approved plans."""
    latches: dict[UUID, UUID | None] = {}
    newest: dict[UUID, Row[Any]] = {}
    task_jobs: dict[UUID, Counter[UUID]] = {}
    completions: Counter[UUID] = Counter()
    letters: set[UUID] = set()
    crashes = 0
    with database.read() as connection:
        for start in range(0, len(plan_ids), _CHUNK):
            chunk = plan_ids[start : start + _CHUNK]
            for plan in connection.execute(select(plans.c.id, plans.c.phase1_job_id).where(plans.c.id.in_(chunk))):
                latches[plan.id] = plan.phase1_job_id
            of_chunk = select(jobs).where(jobs.c.plan_id.in_(chunk), jobs.c.kind == JobKind.PHASE1)
            for row in connection.execute(of_chunk.order_by(jobs.c.generation)):
                newest[row.plan_id] = row
                crashes += row.crash_count
            made = (
                select(tasks.c.plan_id, tasks.c.job_id, func.count().label("number"))
                .where(tasks.c.plan_id.in_(chunk))
                .group_by(tasks.c.plan_id, tasks.c.job_id)
            )
            for row in connection.execute(made):
                task_jobs.setdefault(row.plan_id, Counter())[row.job_id] = row.number
            done = select(events.c.plan_id, func.count().label("number")).where(
                events.c.plan_id.in_(chunk), events.c.type == EventType.COMPLETED
            )
            for row in connection.execute(done.group_by(events.c.plan_id)):
                completions[row.plan_id] = row.number
            letters.update(
                connection.scalars(select(dead_letters.c.plan_id).where(dead_letters.c.plan_id.in_(chunk))).all()
            )
    lost = duplicated = stuck = dead = completed = 0
    for plan_id in plan_ids:
        job: Row[Any] | None = newest.get(plan_id)
        made_by = task_jobs.get(plan_id, Counter())
        if job is None:
            lost += 1
        elif job.status == JobStatus.COMPLETED:
            completed += 1
            lost += not made_by or latches.get(plan_id) not in made_by
            expected = job.result["taskCount"]
            duplicated += len(made_by) > 1 or made_by.total() != expected or completions[plan_id] != 1
        elif job.status == JobStatus.FAILED:
            dead += 1
            lost += plan_id not in letters
        else:
            stuck += 1
    ends = [job.completed_at for job in newest.values() if job.completed_at is not None]
    return Verdict(completed, lost, duplicated, stuck, dead, crashes, max(ends, default=None))


def open_jobs(database: Database) -> int:
    """Return how many jobs have not come to their end."""
    statement = select(func.count()).select_from(jobs).where(jobs.c.status.in_([JobStatus.PENDING, JobStatus.ACTIVE]))
    with database.read() as connection:
        return connection.scalar(statement) or 0
