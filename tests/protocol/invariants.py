"""What must hold after every move of the job protocol, whatever came before it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select

from app.domain.dead_letters import LetterStatus
from app.domain.jobs import AttemptOutcome, EventType, JobStatus, PlanStatus
from app.domain.retry import LONGEST_POSTPONEMENT_SECONDS, SHORTEST_POSTPONEMENT_SECONDS
from app.phase_one import ALREADY_CREATED
from app.settings import JobSettings
from app.storage.database import Database
from app.storage.schema import attempts, dead_letters, events, jobs, plans, tasks

OPEN = {JobStatus.PENDING, JobStatus.ACTIVE}


@dataclass(frozen=True)
class Rows:
    """Everything that the database holds of the pipeline."""

    plans: dict[UUID, Row[Any]]
    jobs: list[Row[Any]]
    tasks: dict[UUID, list[Row[Any]]]
    attempts: dict[UUID, list[Row[Any]]]
    events: dict[UUID, Counter[str]]
    letters: dict[UUID, list[Row[Any]]]

    def newest_job(self, plan_id: UUID) -> Row[Any]:
        """Return the job of the last generation of a plan."""
        return max((job for job in self.jobs if job.plan_id == plan_id), key=lambda job: job.generation)


def rows_of(database: Database) -> Rows:
    """Read everything, at one moment."""
    by_plan, by_job, letters = defaultdict(list), defaultdict(list), defaultdict(list)
    told: dict[UUID, Counter[str]] = defaultdict(Counter)
    with database.read() as connection:
        for task in connection.execute(select(tasks)):
            by_plan[task.plan_id].append(task)
        for attempt in connection.execute(select(attempts)):
            by_job[attempt.job_id].append(attempt)
        for event in connection.execute(select(events.c.job_id, events.c.type)):
            told[event.job_id][event.type] += 1
        for letter in connection.execute(select(dead_letters)):
            letters[letter.job_id].append(letter)
        return Rows(
            plans={plan.id: plan for plan in connection.execute(select(plans))},
            jobs=list(connection.execute(select(jobs))),
            tasks=by_plan,
            attempts=by_job,
            events=told,
            letters=letters,
        )


class Invariants:
    """Checks the rows; remembers the fences, which may never fall."""

    def __init__(self, settings: JobSettings) -> None:
        self._settings = settings
        self._fences: dict[UUID, int] = {}

    def check(self, rows: Rows, decided: Mapping[UUID, PlanStatus], now_ms: int) -> None:
        """Compare the rows with each other, and with what people have decided."""
        for plan in rows.plans.values():
            assert plan.status == decided.get(plan.id, PlanStatus.AWAITING_APPROVAL)
            self._check_plan(plan, rows)
        for job in rows.jobs:
            assert job.fence >= self._fences.get(job.job_id, 0), "the fence fell"
            self._fences[job.job_id] = job.fence
            self._check_tasks(job, rows)
            self._check_history(job, rows)
            self._check_letter(job, rows)
            if job.status == JobStatus.PENDING:
                seen_by = max(ms(job.available_at), now_ms) + self._settings.redispatch_seconds * 1000
                assert ms(job.next_dispatch_at) <= seen_by, "the sweeper would leave it alone for too long"

    def _check_plan(self, plan: Row[Any], rows: Rows) -> None:
        of_plan = [job for job in rows.jobs if job.plan_id == plan.id]
        assert sum(job.status in OPEN for job in of_plan) <= 1
        assert bool(of_plan) == (plan.status == PlanStatus.APPROVED)
        assert {task.job_id for task in rows.tasks[plan.id]} == {plan.phase1_job_id} - {None}
        assert len({task.fence for task in rows.tasks[plan.id]}) <= 1

    def _check_tasks(self, job: Row[Any], rows: Rows) -> None:
        own = [task for task in rows.tasks[job.plan_id] if task.job_id == job.job_id]
        if job.status == JobStatus.COMPLETED and job.result["source"] != ALREADY_CREATED:
            assert len(own) == job.result["taskCount"] > 0
        else:
            assert not own

    def _check_history(self, job: Row[Any], rows: Rows) -> None:
        told = rows.events[job.job_id]
        assert told[EventType.COMPLETED] == (job.status == JobStatus.COMPLETED)
        assert told[EventType.FAILED] == (job.status == JobStatus.FAILED)
        ends = Counter(attempt.outcome for attempt in rows.attempts[job.job_id])
        assert ends[AttemptOutcome.RUNNING] == (job.status == JobStatus.ACTIVE)
        assert ends[AttemptOutcome.COMPLETED] == (job.status == JobStatus.COMPLETED)
        assert ends[AttemptOutcome.LOST] == job.crash_count <= self._settings.crash_limit + 1
        assert ends[AttemptOutcome.RETRYING] == job.error_count <= self._settings.max_retries
        put_off = [one for one in rows.attempts[job.job_id] if one.outcome == AttemptOutcome.POSTPONED]
        pauses = [(ms(one.retry_at) - ms(one.ended_at)) / 1000 for one in sorted(put_off, key=lambda one: one.fence)]
        assert all(SHORTEST_POSTPONEMENT_SECONDS <= pause <= LONGEST_POSTPONEMENT_SECONDS for pause in pauses)
        assert ends.total() == job.attempt_number

    def _check_letter(self, job: Row[Any], rows: Rows) -> None:
        letters = rows.letters[job.job_id]
        assert len(letters) == (job.status == JobStatus.FAILED)
        following = [other.job_id for other in rows.jobs if other.retry_of == job.job_id]
        for letter in letters:
            assert following == ([letter.retried_as] if letter.status == LetterStatus.RETRIED else [])


def ms(moment: datetime) -> int:
    """Return milliseconds since 1970."""
    return round(moment.timestamp() * 1000)
