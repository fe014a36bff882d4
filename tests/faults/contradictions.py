"""What contradicts a good verdict: jobs of which the API says something else, and fences that fell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from itertools import pairwise
from uuid import UUID

from sqlalchemy import select

from app.cli.remote import Remote
from app.domain.jobs import JobStatus
from app.storage.database import Database
from app.storage.schema import attempts, jobs

#: More jobs than any run has.
_ALL = 1_000_000


def contradictions(api: Remote, database: Database, job_ids: Collection[str]) -> list[str]:
    """Return in words what is wrong with these jobs, each of which should have completed."""
    told = {job["jobId"]: job["status"] for job in api.items("jobs", limit=_ALL) if job["jobId"] in job_ids}
    return [
        *(f"the API does not know job {job_id}" for job_id in job_ids if job_id not in told),
        *(
            f"the API says that job {job_id} is {status}"
            for job_id, status in told.items()
            if status != JobStatus.COMPLETED
        ),
        *_fallen_fences(database, job_ids),
    ]


def _fallen_fences(database: Database, job_ids: Collection[str]) -> list[str]:
    """Compare the fences of each job's runs, in their order, and the one that the job has in the end."""
    runs = select(attempts.c.job_id, attempts.c.fence).order_by(attempts.c.job_id, attempts.c.attempt_number)
    fences: dict[UUID, list[int]] = defaultdict(list)
    with database.read() as connection:
        for run in connection.execute(runs):
            fences[run.job_id].append(run.fence)
        last = {job.job_id: job.fence for job in connection.execute(select(jobs.c.job_id, jobs.c.fence))}
    return [
        f"the fences of job {job_id} are {found}, and {last[job_id]} in the end"
        for job_id, found in fences.items()
        if str(job_id) in job_ids
        and (any(later <= earlier for earlier, later in pairwise(found)) or last[job_id] < found[-1])
    ]
