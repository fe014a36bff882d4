"""Dead letters, for operators: look at them, retry them, discard them, carry them away."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from uuid import UUID

from pydantic.alias_generators import to_camel
from sqlalchemy import Connection, Row

from app.announcements import Announcer
from app.domain.dead_letters import LetterFilter, LetterStatus, SkipCause
from app.domain.errors import ConflictError, InvalidInputError, NotFoundError
from app.domain.jobs import JobKind, JobStatus
from app.domain.roles import Actor
from app.letter_retry import Retry, obstacle, retry_letter
from app.live_metrics import LiveMetrics
from app.metrics import DEAD_LETTERS_RESOLVED
from app.settings import JobSettings
from app.storage.audit import record_audit
from app.storage.database import Database
from app.storage.dead_letters import mark_discarded
from app.storage.jobs import job_by_id
from app.storage.letter_notices import tell_letters_handled
from app.storage.letter_reads import (
    RetryCandidate,
    jobs_to_retry,
    letter_by_id,
    letters_page,
    retry_candidate,
    retry_candidates,
)
from app.storage.paging import MAX_LIMIT, Cursor, Page, PageRequest

#: Letters of one transaction: SQLite has one writer at a time, and workers must not wait long for their turn.
_BATCH = 25

_REFUSALS: Mapping[SkipCause | None, str] = {
    SkipCause.NO_JOB: "this dead letter is a message without a job: it can be discarded, not retried",
    SkipCause.DISCARDED: "somebody has discarded this dead letter just now; retry it again to overrule that",
    SkipCause.JOB_OPEN: "the plan has a job of this kind that waits or runs",
    SkipCause.PLAN_HAS_TASKS: "the plan has its tasks: another job has created them",
    SkipCause.PLAN_MOVED_ON: "the plan does not wait for this kind of job any more",
}

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class RetriedLetter:
    """The job that follows a failed one, and where it is."""

    job_id: UUID
    retry_of: UUID
    job_status: JobStatus


@dataclass(frozen=True)
class BulkRetry:
    """What became of the letters that a filter found, or of a dry run: what would have become of them.

    Each one was retried, or skipped for a cause. `jobs` are pairs of the failed job and the one that follows it; a dry
    run has none.
    """

    matched: int
    skipped: Mapping[SkipCause, int]
    jobs: Sequence[tuple[UUID, UUID]]

    @property
    def retried(self) -> int:
        """Return how many were, or would have been, retried."""
        return self.matched - sum(self.skipped.values())


class DeadLetters:
    """The archive; safe to use from many threads and processes at once."""

    def __init__(self, database: Database, announcer: Announcer, jobs: JobSettings, metrics: LiveMetrics) -> None:
        self._database = database
        self._announcer = announcer
        self._jobs = jobs
        self._metrics = metrics

    def page(self, request: PageRequest, wanted: LetterFilter) -> Page:
        """Return one page of the letters that meet every condition, newest first."""
        with self._database.read() as connection:
            return letters_page(self._database, connection, request, wanted)

    def every_page(self, wanted: LetterFilter) -> Iterator[Sequence[Row[Any]]]:
        """Yield all the letters that meet every condition, newest first, page by page, each in its own transaction."""
        cursor = None
        while True:
            page = self.page(PageRequest(MAX_LIMIT, cursor), wanted)
            yield page.rows
            if page.next_cursor is None:
                return
            cursor = Cursor.decode(page.next_cursor)

    def find(self, letter_id: UUID) -> Row[Any]:
        """Return a letter, by the id of its job or by its own.

        Raises:
            NotFoundError: There is none.
        """
        with self._database.read() as connection:
            return _existing(letter_by_id(connection, letter_id))

    def retry(self, letter_id: UUID, *, by: Actor, request_id: str | None) -> RetriedLetter:
        """Let a new job follow a letter's, even when the letter was discarded; again answers the same job.

        Raises:
            NotFoundError: There is no such letter.
            ConflictError: It is a message, or its plan does not need a job.
            DatabaseUnavailableError: Nothing happened, or it is unknown: retry again.
        """
        with self._database.write() as connection:
            letter = _existing(retry_candidate(connection, letter_id))
            retry = retry_letter(
                self._database,
                connection,
                self._jobs,
                self._metrics,
                letter,
                by=by,
                request_id=request_id,
                discarded_too=True,
            )
            if retry.cause is None:
                _audit_retry(connection, letter, retry, by, request_id)
            job = None if retry.job_id is None else job_by_id(connection, retry.job_id)
        if job is None:
            raise ConflictError(_REFUSALS[retry.cause])
        if retry.cause is None:
            self._metrics.count(DEAD_LETTERS_RESOLVED, outcome=LetterStatus.RETRIED)
            self._announcer.announce(JobKind(job.kind), job.job_id)
        return RetriedLetter(job.job_id, job.retry_of, JobStatus(job.status))

    def retry_many(
        self,
        wanted: LetterFilter,
        *,
        limit: int,
        rate_per_second: float | None,
        dry_run: bool,
        by: Actor,
        request_id: str | None,
    ) -> BulkRetry:
        """Retry up to `limit` letters of jobs that wait and meet every condition, oldest first.

        With a rate, the new jobs become due one after the other, so many in a second. Their hints come from the
        sweeper, which sends no more than there is room for.

        Raises:
            InvalidInputError: At this rate the last job would wait longer than any pause may last; the field is
                `ratePerSecond`.
            DatabaseUnavailableError: Some may have been retried; repeat the call for the others.
        """
        pace = _Pace(rate_per_second, limit=limit, longest_seconds=self._jobs.clamp_seconds)
        waiting = replace(wanted, status=LetterStatus.WAITING)
        with self._database.read() as connection:
            letter_ids = jobs_to_retry(self._database, connection, waiting, limit=limit)
        done: list[tuple[RetryCandidate, Retry]] = []
        for first in range(0, len(letter_ids), _BATCH):
            batch = letter_ids[first : first + _BATCH]
            done += self._foresee(batch) if dry_run else self._retry_batch(batch, waiting, pace, by, request_id)
        return BulkRetry(
            matched=len(done),
            skipped=Counter(retry.cause for _, retry in done if retry.cause is not None),
            jobs=[
                (letter.job_id, retry.job_id)
                for letter, retry in done
                if retry.cause is None and letter.job_id is not None and retry.job_id is not None
            ],
        )

    def discard(self, letter_id: UUID, *, reason: str, by: Actor, request_id: str | None) -> Row[Any]:
        """Decide that nothing follows a letter, and return it; again changes nothing, and the first reason stays.

        Raises:
            NotFoundError: There is no such letter.
            ConflictError: It was retried.
            DatabaseUnavailableError: Nothing happened, or it is unknown: discard again.
        """
        with self._database.write() as connection:
            letter = _existing(letter_by_id(connection, letter_id))
            discarded = mark_discarded(connection, letter.id, actor=by.name, reason=reason)
            if discarded:
                tell_letters_handled(connection, letter.kind, letter.error_class)
                record_audit(
                    connection,
                    actor=by.name,
                    action="dead_letter.discard",
                    target_type="dead_letter",
                    target_id=letter.job_id or letter.id,
                    reason=reason,
                    request_id=request_id,
                )
            letter = _existing(letter_by_id(connection, letter_id))
        if letter.status == LetterStatus.RETRIED:
            raise ConflictError("the dead letter was retried: another job follows it")
        if discarded:
            self._metrics.count(DEAD_LETTERS_RESOLVED, outcome=LetterStatus.DISCARDED)
        return letter

    def _foresee(self, batch: Sequence[UUID]) -> list[tuple[RetryCandidate, Retry]]:
        with self._database.read() as connection:
            letters = retry_candidates(connection, batch)
        return [(letter, obstacle(letter, discarded_too=False) or Retry(None)) for letter in letters]

    def _retry_batch(
        self, batch: Sequence[UUID], wanted: LetterFilter, pace: _Pace, by: Actor, request_id: str | None
    ) -> list[tuple[RetryCandidate, Retry]]:
        conditions = {to_camel(name): str(value) for name, value in vars(wanted).items() if value is not None}
        done = []
        with self._database.write() as connection:
            for letter in retry_candidates(connection, batch):
                retry = retry_letter(
                    self._database,
                    connection,
                    self._jobs,
                    self._metrics,
                    letter,
                    by=by,
                    request_id=request_id,
                    discarded_too=False,
                    due_in_seconds=pace.next_due_in_seconds(),
                )
                if retry.cause is None:
                    pace.advance()
                    _audit_retry(connection, letter, retry, by, request_id, filter=conditions)
                done.append((letter, retry))
        self._metrics.count(
            DEAD_LETTERS_RESOLVED, sum(retry.cause is None for _, retry in done), outcome=LetterStatus.RETRIED
        )
        self._database.give_way()
        return done


class _Pace:
    """When the jobs of a bulk retry become due: one after the other at a rate, or all of them at once."""

    def __init__(self, rate_per_second: float | None, *, limit: int, longest_seconds: float) -> None:
        self._rate = rate_per_second
        self._made = 0
        self._started = time.monotonic()
        if rate_per_second is not None and limit / rate_per_second > longest_seconds:
            # A job that is due later than CLAMP would be taken for a fault of the clock, and be pulled to now (T8).
            raise InvalidInputError(
                "ratePerSecond",
                f"{limit} jobs at this rate take longer than the {longest_seconds:g} s that a job may wait: "
                "raise it, or lower the limit",
            )

    def next_due_in_seconds(self) -> float:
        if self._rate is None:
            return 0.0
        return max(self._made / self._rate - (time.monotonic() - self._started), 0.0)

    def advance(self) -> None:
        self._made += 1


def _audit_retry(
    connection: Connection, letter: RetryCandidate, retry: Retry, by: Actor, request_id: str | None, **details: object
) -> None:
    record_audit(
        connection,
        actor=by.name,
        action="dead_letter.retry",
        target_type="dead_letter",
        target_id=letter.job_id,
        details={"jobId": str(retry.job_id), **details},
        request_id=request_id,
    )


def _existing(letter: _Found | None) -> _Found:
    if letter is None:
        raise NotFoundError("there is no such dead letter")
    return letter
