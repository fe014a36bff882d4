"""Retry of a dead letter: a new job that follows the failed one (docs/reference/job-protocol.md)."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import Connection

from app.domain.dead_letters import LetterStatus, SkipCause
from app.domain.errors import ConflictError
from app.domain.jobs import JobKind, PlanStatus
from app.domain.roles import Actor
from app.job_events import insert_announced_job
from app.live_metrics import LiveMetrics
from app.settings import JobSettings
from app.storage.database import Database
from app.storage.dead_letters import mark_retried
from app.storage.letter_reads import RetryCandidate, retry_candidates
from app.storage.plans import reopen_analysis


@dataclass(frozen=True)
class Retry:
    """What became of one try.

    `job_id` is the job that follows the letter's; `cause` says why this try created none. Both stand there when
    another try has created it.
    """

    job_id: UUID | None
    cause: SkipCause | None = None


def obstacle(letter: RetryCandidate, *, discarded_too: bool) -> Retry | None:
    """Return what a try would come to without creating a job, None when it would create one."""
    if letter.kind is None:
        return Retry(None, SkipCause.NO_JOB)
    if letter.status is LetterStatus.RETRIED:
        return Retry(letter.retried_as, SkipCause.ALREADY_RETRIED)
    if letter.status is LetterStatus.DISCARDED and not discarded_too:
        return Retry(None, SkipCause.DISCARDED)
    cause = _cause_of_plan(letter, letter.kind)
    return None if cause is None else Retry(None, cause)


def retry_letter(
    database: Database,
    connection: Connection,
    settings: JobSettings,
    metrics: LiveMetrics,
    letter: RetryCandidate,
    *,
    by: Actor,
    request_id: str | None,
    discarded_too: bool,
    due_in_seconds: float | None = None,
) -> Retry:
    """Create the job that follows a letter's, in the caller's transaction; of two tries at once, one creates it.

    An `analysis` puts its plan back to analyzing. `due_in_seconds` is that of `insert_announced_job`.
    """
    hindered = obstacle(letter, discarded_too=discarded_too)
    if hindered is not None:
        return hindered
    job_id = uuid4()
    try:
        with database.savepoint(connection):
            _follow(database, connection, settings, metrics, letter, job_id, by, request_id, due_in_seconds)
    except ConflictError:
        (now,) = retry_candidates(connection, [letter.letter_id])
        return obstacle(now, discarded_too=False) or Retry(None, SkipCause.JOB_OPEN)
    return Retry(job_id)


def _follow(
    database: Database,
    connection: Connection,
    settings: JobSettings,
    metrics: LiveMetrics,
    letter: RetryCandidate,
    job_id: UUID,
    by: Actor,
    request_id: str | None,
    due_in_seconds: float | None,
) -> None:
    assert letter.plan_id is not None  # noqa: S101 -- a letter of a job has both
    assert letter.kind is not None  # noqa: S101 -- likewise
    # The letter first: whoever comes second waits here until the first one has committed.
    if not mark_retried(connection, letter.letter_id, before=letter.status, as_job=job_id, actor=by.name):
        raise ConflictError("somebody else has decided on this letter")
    if letter.kind is JobKind.ANALYSIS and not reopen_analysis(connection, letter.plan_id):
        raise ConflictError("the plan has moved on")
    insert_announced_job(
        database,
        connection,
        settings,
        metrics,
        plan_id=letter.plan_id,
        kind=letter.kind,
        request_id=request_id,
        generation=(letter.newest_generation or 0) + 1,
        retry_of=letter.job_id,
        job_id=job_id,
        due_in_seconds=due_in_seconds,
    )


def _cause_of_plan(letter: RetryCandidate, kind: JobKind) -> SkipCause | None:
    if letter.job_open:
        return SkipCause.JOB_OPEN
    if kind is JobKind.PHASE1 and letter.plan_has_tasks:
        return SkipCause.PLAN_HAS_TASKS
    return None if letter.plan_status == _RETRIED_FROM[kind] else SkipCause.PLAN_MOVED_ON


#: Where the plan of a failed job of each kind stands.
_RETRIED_FROM = {JobKind.PHASE1: PlanStatus.APPROVED, JobKind.ANALYSIS: PlanStatus.ANALYSIS_FAILED}
